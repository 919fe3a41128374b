"""Values of other tools' documents as the own format writes them."""

import re
import unicodedata
from typing import Final

NAME_AT_MOST: Final = 63


def name_of(text: str) -> str:
    """Return a name in the characters that names of policies have; empty if none of it can stand in one."""
    plain = unicodedata.normalize("NFKD", text).lower()
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub("[^a-z0-9]+", "-", plain).strip("-")[:NAME_AT_MOST].rstrip("-")
