"""Descriptions of models' fields in their JSON Schema, read from the docstrings below the attributes.

pydantic's own `use_attribute_docstrings` reads the source of every model when it is defined, which took a
tenth of the program's start. Here the source is read when somebody wants the schema.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class DescribedModel(BaseModel):
    """A model whose attributes' docstrings describe them in its JSON Schema."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, description in _docstrings(cls).items():
            field = cls.model_fields.get(name)
            if field is not None and (key := field.alias or name) in properties:
                properties[key].setdefault("description", description)
        return schema


def _docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the docstrings of a model's attributes, those that it inherits included."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, DescribedModel):
            found |= _docstrings_of_module(each.__module__).get(each.__qualname__, {})
    return found


@cache
def _docstrings_of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {node.name: dict(_in_class(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _in_class(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for attribute, below in zip(tree.body, tree.body[1:], strict=False):
        match attribute, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
