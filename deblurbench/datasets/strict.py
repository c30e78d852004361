"""Decoding as strictly as the decoders can: what they only warn of is an error.

JPEG has no checksum. Of 200 single flipped bits in a JPEG of 640x360 OpenCV refuses none, and libjpeg warns of 46; the
others change pixels silently and show by a digest only (`deblurbench verify RUN`).
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deblurbench.errors import FrameError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import read_frame

WARNINGS = ("Corrupt JPEG", "Premature end of JPEG", "Invalid SOS", "Unsupported marker", "extraneous bytes")
OTHERS = ("libpng ", "[ WARN:", "[ERROR:")  # how lines of libpng and OpenCV begin


def read_strictly(path: Path) -> Frame8:
    """`read_frame`, and libjpeg's warnings are errors. For a single thread: it catches the process's standard error.

    Raises:
        FrameError: as `read_frame`, or the decoder warned.
    """
    with quiet_decoders() as said:
        frame = read_frame(path)
    warned = [line for line in said if any(words in line for words in WARNINGS)]
    if warned:
        raise FrameError(f"{path}: decodes, but the decoder says: {warned[0].strip()}. The file is damaged.")
    return frame


@contextlib.contextmanager
def quiet_decoders() -> Iterator[list[str]]:
    """Keep the decoders' own lines off standard error, and give them; what others write there meanwhile follows.

    A damaged file raises a FrameError that names it, which the decoders' lines do not.
    """
    said: list[str] = []
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield said
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                if line.startswith(OTHERS) or any(words in line for words in WARNINGS):
                    said.append(line)
                else:
                    print(line, file=sys.stderr)
