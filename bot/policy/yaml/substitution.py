"""Substitutes `${NAME}` and `${NAME:-default}` from the environment, which is an argument. Pure.

Works on texts that YAML has already parsed, so that no value can change a document's structure. `$${` is
the escape for `${`; any other `$` is left alone.
"""

import re
from collections.abc import Mapping

from bot.policy.faults import InvalidValueError, quoted

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with every reference substituted; raises `InvalidValueError` where one cannot be.

    As in a shell, the default is also used for a variable that is set but empty.
    """

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            allowed = "${NAME}, ${NAME:-default}, or $${ for a literal ${"
            raise InvalidValueError("a reference to the environment is not well formed", allowed)
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise _unset(name)
        return value

    return _REFERENCE.sub(replacement, text)


def _unset(name: str) -> InvalidValueError:
    message = f"the environment variable {quoted(name)} is not set"
    if name == "window":
        return InvalidValueError(f"{message}; for the width of a time bucket write $window, without braces")
    return InvalidValueError(message, f"set it, or write a default: ${{{name}:-…}}")
