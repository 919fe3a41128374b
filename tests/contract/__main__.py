"""`python -m tests.contract --write`: accept the present interfaces as the contract."""

import argparse

from tests.contract.files import FOLDER, contents


def main() -> None:
    """Write every file of the contract."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    parser.add_argument("--write", action="store_true", required=True, help="write the files anew")
    parser.parse_args()
    for name, text in contents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
