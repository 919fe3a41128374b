"""The text of OpenSLO files: YAML, numbers as exactly as they are, remarks as comments. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import yaml

from bot.policy.formats.objectives import plain
from bot.policy.formats.openslo.writing import OpenSloFile

MARK: Final = "# Written by `governor convert --to openslo`"
_WIDTH: Final = 1_000


class _ExactDumper(yaml.SafeDumper):
    """Writes decimal numbers digit by digit, and texts of several lines as such."""


def _decimal(dumper: _ExactDumper, number: Decimal) -> yaml.Node:
    text = plain(number)
    kind = "float" if "." in text else "int"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", text)


_ExactDumper.add_representer(Decimal, _decimal)


def file_text(file: OpenSloFile, policies: str) -> str:
    """Return the text of a file; `policies` is the folder that it was made of."""
    lines = [f"{MARK} from {policies}.", *(f"# {each.subject}: {each.message}." for each in file.remarks)]
    documents = yaml.dump_all(
        file.documents,
        Dumper=_ExactDumper,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
        explicit_start=True,
    )
    return "\n".join(lines) + "\n" + documents


def as_json(value: Any) -> Any:
    """Return a document as JSON has it: its numbers as binary fractions."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Mapping():
            return {str(key): as_json(each) for key, each in value.items()}
        case list() | tuple():
            return [as_json(each) for each in value]
        case _:
            return value
