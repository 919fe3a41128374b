"""The base of all models of policy documents: camelCase keys, unknown keys refused, rules between keys."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, Tag, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from bot.attribute_docstrings import DescribedModel
from bot.policy.faults import Path


class BrokenRule(NamedTuple):
    """A rule between keys that does not hold: which value is at fault, and why."""

    path: Path
    message: str
    allowed: str = ""


class Model(DescribedModel):
    """A mapping in a policy document."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Yield the rules between keys that do not hold; the values are valid each by itself."""
        yield from ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        errors = [
            InitErrorDetails(
                type=PydanticCustomError("rule", "{message}", {"message": message, "allowed": allowed}),
                loc=path,
                input=None,
            )
            for path, message, allowed in self.broken_rules()
        ]
        if errors:
            raise ValidationError.from_exception_data(type(self).__name__, errors)
        return self


def known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """Return the keys that the mapping at `path` in a document of this model may have.

    Where `path` has the tag of a member of a union, as in the location of pydantic's errors, it is that
    member's keys.
    """
    annotation: object = model
    for step in path:
        if isinstance(step, str):
            annotation = _under(annotation, step)
    keys = {
        field.alias or name for inner in _models_in(annotation) for name, field in inner.model_fields.items()
    }
    return sorted(keys)


def _under(annotation: object, key: str) -> object:
    tagged = next(_tagged(annotation, key), None)
    if tagged is not None:
        return tagged
    for model in _models_in(annotation):
        for name, field in model.model_fields.items():
            if key == (field.alias or name):
                return Annotated[field.annotation, None]
        if model.model_config.get("extra") == "allow":
            return model.__annotations__.get("__pydantic_extra__")
    # A mapping with free keys: its annotation has the type of its values.
    return annotation


def _tagged(annotation: Any, tag: str) -> Iterator[object]:
    if any(isinstance(each, Tag) and each.tag == tag for each in getattr(annotation, "__metadata__", ())):
        yield annotation
    elif not isinstance(annotation, type | str | bytes | Mapping):
        for inner in get_args(annotation):
            yield from _tagged(inner, tag)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif not isinstance(annotation, str | bytes | Mapping):
        for inner in get_args(annotation):
            yield from _models_in(inner)
