"""VMAF (Netflix; Li, Aaron, Katsavounidis, Moorthy, Manohara 2016), computed by the filter libvmaf of an ffmpeg.

Model vmaf_v0.6.1, mean over the scored frames, 0 to 100. Only luma counts: it is handed over as 8-bit BT.601 in
studio range, which is what ffmpeg makes of PNG frames by itself. Frames go through a pipe, never to the disk.

Which ffmpeg, in this order: the environment variable DEBLURBENCH_FFMPEG, the one inside the package imageio-ffmpeg
(the extra `vmaf`), the one on the PATH. The first that has the filter is used, and the run records which it was.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deblurbench.errors import MissingError
from deblurbench.frames.convert import Frame8
from deblurbench.metrics.checks import check_pair
from deblurbench.metrics.luma import load_luma8
from deblurbench.processes.guarded import GuardedProcess

ENVIRONMENT = "DEBLURBENCH_FFMPEG"
MODEL = "vmaf_v0.6.1"
SMALLEST = 32
LOG = "vmaf.json"


@dataclass(frozen=True)
class VMAFFactory:
    """Makes a `VMAF` for each clip. `implementation` says in words which ffmpeg and model it is."""

    ffmpeg: str
    implementation: str

    def __call__(self) -> VMAF:
        """A new clip."""
        return VMAF(self.ffmpeg)


class VMAF:
    """VMAF of one clip: an ffmpeg that takes the frames one by one while they are restored."""

    def __init__(self, ffmpeg: str) -> None:
        self.ffmpeg = ffmpeg
        self.luma = load_luma8()
        self.shape: tuple[int, ...] = ()
        self.frames = 0
        self.value = math.nan

    def add(self, restored: Frame8, sharp: Frame8) -> None:
        """Take the next scored frame, uint8 (H, W, 3) RGB, and its ground truth."""
        one, two = check_pair(restored, sharp, SMALLEST)
        if not self.shape:
            self._start(one.shape[0], one.shape[1])
            self.shape = one.shape
        if one.shape != self.shape:
            raise ValueError(f"frames of a clip differ in size: {self.shape}, then {one.shape}")
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(np.concatenate([self.luma(one), self.luma(two)]).data)
            self.process.stdin.write(self.grey)
        except OSError as error:
            raise self._broken() from error
        self.frames += 1

    def result(self) -> float:
        """The mean over the frames added; nan where there was none. No frame can be added afterwards."""
        if self.frames and self.ending.alive:
            assert self.process.stdin is not None
            self.process.stdin.close()
            log = Path(self.folder, LOG)
            if self.process.wait() or not log.is_file():
                raise self._broken()
            told = json.loads(log.read_text(encoding="utf-8"))
            if len(told["frames"]) != self.frames:
                raise RuntimeError(f"{self.ffmpeg} scored {len(told['frames'])} of {self.frames} frames")
            self.value = float(told["pooled_metrics"]["vmaf"]["mean"])
            self.ending()
        return self.value

    def _start(self, height: int, width: int) -> None:
        """Both frames stand one above the other in one picture, so that they cannot get out of step."""
        self.folder = tempfile.mkdtemp(prefix="vmaf-")
        cleaner = GuardedProcess([], folder=Path(self.folder).resolve())  # removes it, even when this process is killed
        self.grey = bytes([128]) * (4 * height * width)  # the chroma planes of a pair; the model reads none of them
        size = f"{width}:{height}:0"
        graph = (
            f"split[a][b];[a]crop={size}:0:exact=1[one];[b]crop={size}:{height}:exact=1[two];"
            f"[one][two]libvmaf=model=version={MODEL}:log_fmt=json:log_path={LOG}"
        )
        source = ["-f", "rawvideo", "-pix_fmt", "yuv444p", "-s", f"{width}x{2 * height}", "-i", "pipe:0"]
        words = [self.ffmpeg, "-v", "error", *source, "-lavfi", graph, "-f", "null", "-"]
        with Path(self.folder, "stderr").open("wb") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, cwd=self.folder
            )
        self.ending = weakref.finalize(self, _end, self.process, cleaner)

    def _broken(self) -> RuntimeError:
        self.process.kill()
        said = Path(self.folder, "stderr").read_text(encoding="utf-8", errors="replace").strip()[-500:]
        return RuntimeError(f"{self.ffmpeg} stopped after {self.frames} frames ({said or 'it said nothing'})")


def _end(process: subprocess.Popen[bytes], cleaner: GuardedProcess) -> None:
    """Leave neither a process nor a file behind, also where a clip failed halfway."""
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
    cleaner.close()


def load_vmaf(device: str) -> VMAFFactory:
    """A new `VMAF` for each clip, with the first ffmpeg that has the filter.

    Raises:
        MissingError: no ffmpeg with libvmaf is here; the message says how to get one.
    """
    tried = []
    for program, origin in _candidates():
        version = _version_with_vmaf(program)
        if version:
            return VMAFFactory(program, f"{version} ({origin}), libvmaf model {MODEL}")
        tried.append(f"{origin} has no libvmaf or does not start")
        if origin == ENVIRONMENT:
            break
    raise MissingError(
        f"vmaf needs an ffmpeg with the filter libvmaf: {'; '.join(tried) or 'found none'}. "
        f"pip install 'deblurbench[vmaf]', or set {ENVIRONMENT} to one."
    )


def is_here(metric: str) -> bool:
    """Whether an ffmpeg with the filter is on this machine."""
    try:
        load_vmaf("cpu")
    except MissingError:
        return False
    return True


def _candidates() -> Iterator[tuple[str, str]]:
    """Programs and where they come from, best first."""
    chosen = os.environ.get(ENVIRONMENT)
    if chosen:
        yield str(Path(chosen).expanduser()), ENVIRONMENT
    try:
        import imageio_ffmpeg

        version = importlib.metadata.version("imageio-ffmpeg")
        yield imageio_ffmpeg.get_ffmpeg_exe(), f"package imageio-ffmpeg {version}"
    except (ImportError, RuntimeError):  # not installed, or it brings no program for this machine
        pass
    on_path = shutil.which("ffmpeg")
    if on_path:
        yield on_path, "ffmpeg on the PATH"


def _version_with_vmaf(program: str) -> str:
    """'ffmpeg 7.1', or nothing where the program does not start or lacks the filter."""
    try:
        filters = subprocess.run([program, "-hide_banner", "-filters"], capture_output=True, text=True, timeout=30)
        told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = [line.split()[1:2] for line in filters.stdout.splitlines()]
    return f"ffmpeg {told[2]}" if ["libvmaf"] in words and told[:2] == ["ffmpeg", "version"] else ""
