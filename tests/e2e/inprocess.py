"""The command line called in this process: quick, since torch is imported once for all tests."""

from __future__ import annotations

import pytest

from deblurbench.cli.main import main


def deblurbench(*words: object, code: int = 0) -> None:
    """Run one command and check its exit code; read what it printed with capsys."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert left.value.code == code


def interrupt(*_: object, **__: object) -> None:
    """What Ctrl-C does where it is put in the place of a function."""
    raise KeyboardInterrupt
