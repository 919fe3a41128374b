"""Finds the words that the audit log's `action` can have, by reading the source of `bot`.

Starting from each construction of an audit entry, it follows the action back through parameters, local
names, conditions, f-strings and enums to string literals. What it cannot follow is an error, so that no
action is missed silently.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

_STORE = "store/audit.py"
_POSITION = 1
"""Of `action` among the fields of an audit entry."""
_MOST_CALLS = 8

Function = ast.FunctionDef | ast.AsyncFunctionDef


class UntraceableActionError(Exception):
    """An action is computed in a way that is not understood here; write it plainly, or teach this module."""


@dataclass(frozen=True)
class Module:
    """A source file, with the parent of each node."""

    path: Path
    tree: ast.Module

    @cached_property
    def parents(self) -> Mapping[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def function_around(self, node: ast.AST) -> Function | None:
        """Return the innermost function around a node."""
        around = self.parents.get(node)
        while around is not None and not isinstance(around, Function):
            around = self.parents.get(around)
        return around

    def imports(self, name: str) -> bool:
        """Return whether a `from … import` brings the name in."""
        imports = (node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom))
        return any((alias.asname or alias.name) == name for node in imports for alias in node.names)

    def place(self, node: ast.AST) -> str:
        """Return file, line and source of a node."""
        return f"{self.path}:{getattr(node, 'lineno', '?')}: {ast.unparse(node)}"


class AuditActions:
    """Follows actions through the modules of a source folder."""

    def __init__(self, source: Path, entry_class: str = "AuditEntry") -> None:
        self._entry_class = entry_class
        self._modules = [
            Module(path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(source.rglob("*.py"))
        ]
        self._by_name = {
            ".".join([source.name, *module.path.relative_to(source).with_suffix("").parts]): module
            for module in self._modules
        }

    def find(self) -> list[str]:
        """Return every action, sorted; raises `UntraceableActionError`."""
        return sorted({action for module in self._modules for action in self._written_in(module)})

    def _written_in(self, module: Module) -> Iterator[str]:
        # The store itself makes entries of the rows that it reads; so does whoever reads them elsewhere.
        if module.path.as_posix().endswith(_STORE):
            return
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and self._makes_entry(module, node.func):
                action = _argument(node, "action", _POSITION)
                if action is None:
                    raise UntraceableActionError(module.place(node))
                if not (isinstance(action, ast.Attribute) and ast.unparse(action) == "row.action"):
                    yield from self._values(module, action, 0)

    def _makes_entry(self, module: Module, called: ast.expr) -> bool:
        if isinstance(called, ast.Attribute):
            return ast.unparse(called) == f"audit.{self._entry_class}"
        return isinstance(called, ast.Name) and called.id == self._entry_class and self._from_store(module)

    def _from_store(self, module: Module) -> bool:
        return any(
            isinstance(node, ast.ImportFrom)
            and node.module == "bot.store.audit"
            and any(alias.name == self._entry_class for alias in node.names)
            for node in ast.walk(module.tree)
        )

    def _values(self, module: Module, node: ast.expr, calls: int) -> set[str]:
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.IfExp(body=body, orelse=other):
                return self._values(module, body, calls) | self._values(module, other, calls)
            case ast.JoinedStr(values=parts):
                alternatives = [self._values(module, part, calls) for part in parts]
                return {"".join(combination) for combination in product(*alternatives)}
            case ast.FormattedValue(value=value) | ast.Attribute(value=value, attr="value"):
                return self._values(module, value, calls)
            case ast.Attribute(value=ast.Name(id=name), attr=field):
                return self._enum_values(module, node, name, field)
            case ast.Name(id=name):
                return self._values_of_name(module, node, name, calls)
            case _:
                raise UntraceableActionError(module.place(node))

    def _values_of_name(self, module: Module, node: ast.expr, name: str, calls: int) -> set[str]:
        function = module.function_around(node)
        if function is None or calls > _MOST_CALLS:
            raise UntraceableActionError(module.place(node))
        assigned = [
            statement.value
            for statement in ast.walk(function)
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name) and target.id == name
        ]
        if assigned:
            return {value for each in assigned for value in self._values(module, each, calls)}
        arguments = [*self._arguments_for(module, function, name)]
        if not arguments:
            raise UntraceableActionError(module.place(node))
        return {value for caller, each in arguments for value in self._values(caller, each, calls + 1)}

    def _arguments_for(
        self, module: Module, function: Function, name: str
    ) -> Iterator[tuple[Module, ast.expr]]:
        """Return what is passed for a parameter wherever the function is called."""
        parameters = [each.arg for each in [*function.args.posonlyargs, *function.args.args]]
        is_method = isinstance(module.parents[function], ast.ClassDef)
        position = parameters.index(name) - is_method if name in parameters else None
        for caller in self._callers_of(module, function, is_method=is_method):
            for node in ast.walk(caller.tree):
                if isinstance(node, ast.Call) and _name_of(node.func, is_method=is_method) == function.name:
                    passed = _argument(node, name, position)
                    if passed is None:
                        raise UntraceableActionError(caller.place(node))
                    yield caller, passed

    def _callers_of(self, module: Module, function: Function, *, is_method: bool) -> Sequence[Module]:
        """Return the modules in which a call by the function's name is a call of it."""
        is_top_level = isinstance(module.parents[function], ast.Module)
        if function.name.startswith("_") or not (is_method or is_top_level):
            return [module]
        if is_method:
            return self._modules
        return [each for each in self._modules if each is module or each.imports(function.name)]

    def _enum_values(self, module: Module, node: ast.expr, name: str, field: str) -> set[str]:
        """Return the values of an enum that is a field of an annotated parameter: `deployment.state`."""
        function = module.function_around(node)
        parameters = [*function.args.args, *function.args.kwonlyargs] if function else []
        annotations = {each.arg: ast.unparse(each.annotation) for each in parameters if each.annotation}
        defined_in, fields = self._class_body(module, annotations.get(name, ""))
        for statement in fields:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=found), annotation=ast.Name(id=enum)) if found == field:
                    _, members = self._class_body(defined_in, enum)
                    values = [member.value for member in members if isinstance(member, ast.Assign)]
                    if values:
                        return {text for value in values for text in self._values(defined_in, value, 0)}
        raise UntraceableActionError(module.place(node))

    def _class_body(self, module: Module, name: str) -> tuple[Module, Sequence[ast.stmt]]:
        """Return a class's module and statements; none where the name is no class that the module knows."""
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return module, node.body
            if isinstance(node, ast.ImportFrom) and node.module in self._by_name:
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return self._class_body(self._by_name[node.module], alias.name)
        return module, ()


def _argument(call: ast.Call, name: str, position: int | None) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is not None and position < len(call.args):
        return call.args[position]
    return None


def _name_of(called: ast.expr, *, is_method: bool) -> str | None:
    if is_method:
        return called.attr if isinstance(called, ast.Attribute) else None
    return called.id if isinstance(called, ast.Name) else None
