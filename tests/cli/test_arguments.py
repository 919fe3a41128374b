"""Arguments of the command line follow the rule for text: names are refused, never changed."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("argument", [b"check\x1b[31mout", b"check\x07out", b"check\xffout", b"a\nb"])
def test_an_argument_with_control_characters_is_refused_in_one_line(argument: bytes) -> None:
    command = [os.fsencode(sys.executable), b"-m", b"bot", b"gate", argument]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"control characters" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not any(bad in done.stderr for bad in (b"\x1b", b"\x07", b"\xff"))
