"""Rules as files: YAML that reads well, the same for the same policies. Pure."""

import textwrap
from collections.abc import Sequence
from typing import Any

import yaml

from bot.policy.prometheus_rules.rules import Group, WithoutRules

MARK = "# Written by `governor rules`"
"""How every file begins, by which one that may be replaced is known."""

_WIDTH = 100
_HEADING = (
    "{mark} from the policies of {workspace}, for the Prometheus of the source `{source}`. "
    "Change the policies and write it again: what is changed here is lost."
)


if yaml.__with_libyaml__:
    # Writes the same, ten times as fast.
    from yaml import CSafeDumper as BaseDumper
else:
    from yaml import SafeDumper as BaseDumper  # type: ignore[assignment] # one stands in for the other


class _RuleDumper(BaseDumper):
    """Writes long texts as blocks, and never an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return that every value is written out."""
        del data
        return True


def _text(dumper: _RuleDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_RuleDumper.add_representer(str, _text)


def rule_file(workspace: str, source: str, groups: Sequence[Group], left_out: Sequence[WithoutRules]) -> str:
    """Return the text of one source's file; what has no rules is named in its heading."""
    heading = _HEADING.format(mark=MARK.removeprefix("# "), workspace=workspace, source=source)
    lines = _comment(heading)
    if left_out:
        lines += ["#", "# Left out:"]
        for each in left_out:
            lines += _comment(f"- {each.name}: {each.reason}", further="  ")
    text = yaml.dump(
        {"groups": list(groups)}, Dumper=_RuleDumper, sort_keys=False, allow_unicode=True, width=10_000
    )
    return "\n".join(lines) + "\n" + text


def file_name(source: str) -> str:
    """Return the name of one source's file."""
    return f"{source}.rules.yaml"


def _comment(text: str, further: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent=f"# {further}",
        break_long_words=False,
        break_on_hyphens=False,
    )
