"""A command as a method: a program that turns one folder of frames into another.

A card's `command: [python, tool.py, --input, "{input}", --output, "{output}"]` is run once a clip, in the card's
folder. The clip's frames lie in {input} as 00000000.png, 00000001.png, ...; the restored ones are read from {output},
which is there and empty. Its time is the whole command's, start-up and disk included, divided by the clip's frames.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from deblurbench.backends.base import Elsewhere, FailedElsewhere
from deblurbench.errors import ContractError, DiskError, FrameError, MissingError, UsageError
from deblurbench.frames.convert import to_8bit, to_float
from deblurbench.frames.images import SUFFIXES, list_frames, read_frame, write_png
from deblurbench.processes.guarded import GuardedProcess, NotStarted, signal_name
from deblurbench.provenance import known_sha256
from deblurbench.registry.cards import PLACEHOLDER, MethodCard
from deblurbench.registry.discovery import Plugin
from deblurbench.text import counted, natural_key, some

if TYPE_CHECKING:
    from torch import Tensor

PYTHON = ("python", "python3")
LOOK_EVERY = 1.0  # seconds between looks at what a command has written
LAST_LINES = 6


def program(plugin: Plugin, environment: Mapping[str, str]) -> str:
    """The program that a card's command begins with: the method's own Python for `python`, else a path.

    Raises:
        MissingError: it is neither in the card's folder nor in PATH.
    """
    word = _card(plugin).command[0]
    if word in PYTHON:
        return environment.get("executable", sys.executable)
    beside = plugin.folder / Path(word).expanduser()
    path = str(beside.absolute()) if beside.is_file() else shutil.which(word)
    if not path:
        raise MissingError(
            f"method {plugin.name!r}: its command {word!r} is neither in {plugin.folder} nor a program in PATH. "
            f"Install it, or mend `command` in {plugin.folder / 'card.yaml'}."
        )
    return path


def command_key(plugin: Plugin) -> list[str]:
    """What of a command decides its results: its words, the digests of the files they name, and its program's in PATH.

    Files are named relative to the card's folder.
    """
    card = _card(plugin)
    if not card.command:
        return []
    files = [plugin.folder / word for word in card.command if word and (plugin.folder / word).is_file()]
    return [*card.command, card.command_results, *map(known_sha256, [*files, *_program_in_path(plugin)])]


def _program_in_path(plugin: Plugin) -> list[Path]:
    """The program that a command begins with, where it is neither Python nor in the card's folder; none if not there.

    Of Python its version counts, which stands in the key's environment.
    """
    word = _card(plugin).command[0]
    if word in PYTHON or (plugin.folder / Path(word).expanduser()).is_file():
        return []
    path = shutil.which(word)
    return [Path(path)] if path else []


def _card(plugin: Plugin) -> MethodCard:
    assert isinstance(plugin.card, MethodCard)
    return plugin.card


class CommandMethod(Elsewhere):
    """The command of a card.

    `alive` is called now and then while the command works. `timeout` is how many seconds may pass without a new file in
    the output folder.

    Raises (when made):
        UsageError: tiles or a precision are asked for that the command is not told.
        MissingError: there is no such program.
    """

    def __init__(
        self, plugin: Plugin, environment: Mapping[str, str], *, parameters: Mapping[str, Any], device: str,
        precision: str, tile: int | None, timeout: float, alive: Callable[[], None],
    ) -> None:  # fmt: skip
        self._card, self._home = _card(plugin), plugin.folder
        self._timeout, self._alive = timeout, alive
        self.versions = {name: version for name, version in environment.items() if name != "torch"}
        self._values = {**parameters, "device": device, "precision": precision, "tile": tile or 0}
        self._words = [program(plugin, environment), *self._card.command[1:]]
        named = {name for word in self._words for name in PLACEHOLDER.findall(word)}
        for option, asked in (("tile", tile is not None), ("precision", precision != "fp32")):
            if asked and option not in named:
                raise UsageError(
                    f"--{option} {self._values[option]} means nothing to the command of {plugin.name!r}: it has no "
                    f"{{{option}}}. Leave the option out, or this method."
                )

    def close(self) -> None:
        """Nothing runs between clips."""

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Write the clip, run the command, read what it wrote."""
        folder = Path(tempfile.mkdtemp(prefix="deblurbench-")).resolve()
        cleaner = GuardedProcess([], folder=folder)  # removes it, even when this process is killed
        try:
            (folder / "input").mkdir()
            (folder / "output").mkdir()
            sizes = self._write(folder / "input", frames)
            if not sizes:
                return
            begin = time.perf_counter()
            self._run(folder)
            self.seconds = (time.perf_counter() - begin) / len(sizes)
            yield from self._read(folder / "output", sizes)
        finally:
            cleaner.close()

    def _write(self, folder: Path, frames: Iterable[Tensor]) -> dict[str, tuple[int, int]]:
        """Write the frames as PNG; their names without suffix, with height and width.

        Raises:
            FailedElsewhere: the folder for temporary files has no room; the run's own may have.
        """
        sizes = {}
        for position, frame in enumerate(frames):
            stem = f"{position:08d}"
            try:
                write_png(folder / f"{stem}.png", to_8bit(frame).frame)
            except DiskError as error:
                why = getattr(error.__cause__, "strerror", None) or error
                raise FailedElsewhere(
                    "no room",
                    f"frame {stem} cannot be written for the command into {folder} ({why}). Free space there, or name "
                    "a larger folder for temporary files in TMPDIR.",
                ) from None
            sizes[stem] = (frame.shape[-2], frame.shape[-1])
            self._alive()
        return sizes

    def _run(self, folder: Path) -> None:
        values = {**self._values, "input": folder / "input", "output": folder / "output"}
        words = [PLACEHOLDER.sub(lambda match: str(values[match[1]]), word) for word in self._words]
        guarded = GuardedProcess(
            words, cwd=self._home, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.PIPE
        )
        try:
            tail = _Tail(guarded.process.stderr)
            code = self._wait(guarded, folder / "output", tail)
        except NotStarted as error:
            raise FailedElsewhere("refused", f"the command cannot be started: {error}") from None
        finally:
            guarded.close()
        if code:
            how = f"signal {-code} ({signal_name(-code)})" if code < 0 else f"exit code {code}"
            raise FailedElsewhere("crashed" if code < 0 else "raised", f"the command ended with {how}{tail.told()}")

    def _wait(self, guarded: GuardedProcess, output: Path, tail: _Tail) -> int:
        """Wait for the command as long as it goes on writing files."""
        written, since = 0, time.monotonic()
        while (code := guarded.wait(min(LOOK_EVERY, self._timeout))) is None:
            self._alive()
            count = sum(1 for _ in output.rglob("*"))
            if count != written:
                written, since = count, time.monotonic()
            elif time.monotonic() - since > self._timeout:
                raise FailedElsewhere(
                    "timeout",
                    f"the command wrote nothing new for {self._timeout:.0f} s ({written} files so far); it was ended "
                    f"(--timeout sets this){tail.told()}",
                )
        return code

    def _read(self, folder: Path, sizes: Mapping[str, tuple[int, int]]) -> Iterator[Tensor]:
        for (stem, size), file in zip(sizes.items(), self._matched(folder, list(sizes)), strict=True):
            try:
                frame = read_frame(file)
            except FrameError as error:
                raise ContractError(f"the command's frame {stem}: {error}") from None
            if frame.shape[:2] != size:
                raise ContractError(
                    f"the command's frame {file.name} is {frame.shape[1]}x{frame.shape[0]}, the blurry one "
                    f"{size[1]}x{size[0]}; it is never resized to fit"
                )
            yield to_float(frame)

    def _matched(self, folder: Path, stems: list[str]) -> list[Path]:
        """The restored frames' files in the order of the clip.

        Raises:
            ContractError: nothing was written, other names, too few frames or too many.
        """
        try:
            files = list_frames(folder)
        except FrameError as error:
            raise ContractError(f"the command's frames: {error}") from None
        if not files:
            raise ContractError(f"the command wrote no frame into {{output}}{_elsewhere(folder)}")
        if self._card.command_results == "in-order":
            if len(files) != len(stems):
                raise ContractError(f"the command wrote {counted(len(files), 'frame')} for {len(stems)} of the clip")
            return sorted(files, key=lambda file: natural_key(file.name))
        by_stem = {file.stem: file for file in files}
        missing = [stem for stem in stems if stem not in by_stem]
        other = [file.name for stem, file in by_stem.items() if stem not in set(stems)]
        odd = {"missing": missing, "with other names": other}
        faults = "".join(f"; {what}: {some(names)}" for what, names in odd.items() if names)
        if faults:
            raise ContractError(
                f"the command wrote {counted(len(files), 'frame')} for {len(stems)}{faults}. Restored frames are "
                "called as the blurry ones (00000000.png, ...); with `command_results: in-order` in the card they are "
                "taken in natural order"
            )
        return [by_stem[stem] for stem in stems]


def _elsewhere(folder: Path) -> str:
    """A hint at frames that lie deeper."""
    below = sorted({f.parent.relative_to(folder).as_posix() for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES})
    return f" itself, but into its folder {below[0]!r}" if below else ""


class _Tail:
    """Passes on what a command prints to its standard error, and keeps the last lines."""

    def __init__(self, source: IO[bytes] | None) -> None:
        assert source is not None
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self.thread = threading.Thread(target=self._read, args=(source,), daemon=True)
        self.thread.start()

    def _read(self, source: IO[bytes]) -> None:
        for line in iter(lambda: source.readline(65536), b""):
            text = line.decode(errors="replace")
            sys.stderr.write(text)
            if text.strip():
                self.lines.append(re.split(r"[\r\n]", text.strip())[-1][:500])

    def told(self) -> str:
        """The last lines as the end of a message."""
        self.thread.join(timeout=2)
        return ". It said last:" + "".join(f"\n  {line}" for line in self.lines) if self.lines else ""
