"""Print all texts that people read: `make texts`."""

import sys
from itertools import groupby

from tests.texts.collecting import ReadText, all_texts


def table(texts: list[ReadText]) -> str:
    """Return the texts as a table, one part for each section, each file named once."""
    lines: list[str] = []
    for section, of_section in groupby(texts, key=lambda text: text.section):
        lines += ["", f"## {section}"]
        for file, of_file in groupby(of_section, key=lambda text: text.file):
            lines += ["", f"bot/{file}"]
            lines += [f"{text.line:5}  {text.text.strip()!r}" for text in of_file]
    return "\n".join(lines).lstrip()


if __name__ == "__main__":
    sys.stdout.write(table(all_texts()) + "\n")
