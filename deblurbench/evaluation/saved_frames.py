"""Which PNGs a run keeps while it goes on, and when they are pruned (docs/decisions/0008-frames-shown.md).

Under `--save-frames sample` the frames to show are ranked by the mean of all methods, and the methods run one after the
other. So every method writes the same candidates; once all of them ended on a clip the choice is made, recorded in the
clip's parts, and the other candidates are deleted. Candidates follow from the plan alone and the choice from the parts,
so a run that was killed anywhere chooses the same frames when it is resumed. Consecutive frames of one or two clips are
kept beside the choice: the report plays them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from deblurbench.datasets.selection import PlannedClip
from deblurbench.errors import DiskError
from deblurbench.evaluation.plan import Plan
from deblurbench.registry.cards import IDENTITY
from deblurbench.results import frame_choice
from deblurbench.results.manifest import Choice
from deblurbench.results.store import GROUND_TRUTH, Part, Store

UNKNOWN = (1280, 720)  # pixels of a frame where the plan does not know them


class FrameKeeper:
    """Says what to save of a clip, and prunes it when all methods ended on it."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan, self.store = plan, store
        self.choices: dict[str, Choice] = {}

    @cached_property
    def allowed(self) -> int:
        """How many candidates of every clip the disk is asked to hold: as many in a shard as in the undivided run."""
        pixels = [clip.size[0] * clip.size[1] for clip in self.plan.undivided if clip.size]
        return frame_choice.affordable(pixels, len(self.plan.methods) + 1)

    @cached_property
    def films(self) -> dict[str, list[str]]:
        """Clip -> the frames that are kept for a film under `--save-frames sample`."""
        if self.plan.request.save_frames != "sample":
            return {}
        clips = [(clip.clip.stems, (clip.size or UNKNOWN)[0] * (clip.size or UNKNOWN)[1]) for clip in self.plan.clips]
        films = frame_choice.films(clips, len(self.plan.methods) + 1)
        return {self.plan.clips[place].clip.name: stems for place, stems in films.items()}

    def resume(self, parts: Iterable[Part]) -> None:
        """Take over the choices of parts that still count: their other frames are gone, so a choice stands.

        Methods that are done again no longer count among those that ranked the frames.
        """
        known = list(parts)
        for part in known:
            if part.choice:
                clip = part.outcome.clip
                still = {p.outcome.method for p in known if p.outcome.clip == clip}
                ranked = [method for method in part.choice.ranked_by if method in still]
                self.choices.setdefault(clip, part.choice.model_copy(update={"ranked_by": ranked}))

    def to_save(self, clip: PlannedClip) -> list[str]:
        """Stems of the frames to write as PNG, as --save-frames says: those chosen, or the candidates."""
        stems = list(clip.clip.stems)
        choice = self.plan.request.save_frames
        if choice == "all":
            return stems
        if choice == "none":
            return []
        chosen = self.choices.get(clip.clip.name)
        allowed = self.allowed if self._ranks(clip) else frame_choice.STRIDE
        shown = list(chosen.frames) if chosen else frame_choice.candidates(list(clip.scored) or stems, allowed)
        saved = {*shown, *self.films.get(clip.clip.name, ())}
        return [stem for stem in stems if stem in saved]

    def settle(self, clip: PlannedClip, parts: Mapping[str, Part]) -> Choice | None:
        """All methods ended on a clip: choose, record the choice in its parts, delete the other candidates.

        `parts` are those of the methods that succeeded. Doing it again changes nothing.

        Raises:
            DiskError: a part cannot be written, or a PNG cannot be deleted.
        """
        name = clip.clip.name
        if self.plan.request.save_frames != "sample":
            return None
        choice = self.choices.get(name) or self._choose(clip, parts)
        kept = {*choice.frames, *self.films.get(name, ())}
        for part in parts.values():
            saved = [stem for stem in part.saved if stem in kept]
            if (saved, choice) != (part.saved, part.choice):
                part.saved, part.choice = saved, choice
                self.store.write_part(part)  # before the files go: a part never names a file that is not there
        for method in self.plan.methods:
            self._prune(method.id, name, parts)
        self._prune(GROUND_TRUTH, name, parts, of=IDENTITY)
        if not parts:
            return None
        self.choices[name] = choice
        return choice

    def _ranks(self, clip: PlannedClip) -> bool:
        return clip.clip.sharp is not None and frame_choice.ranking_metric(self.plan.metrics) is not None

    def _choose(self, clip: PlannedClip, parts: Mapping[str, Part]) -> Choice:
        stems = list(clip.scored) or list(clip.clip.stems)
        among = [stem for stem in stems if all(stem in part.saved for part in parts.values())]
        metric = frame_choice.ranking_metric(self.plan.metrics) if self._ranks(clip) else None
        ranking = {method: part for method, part in parts.items() if method != IDENTITY} or parts
        values = {
            method: {stem: value for stem, name, value in part.scores if metric and name == metric.id and stem}
            for method, part in ranking.items()
        }
        return frame_choice.choose(stems, among, values, metric)

    def _prune(self, folder: str, clip: str, parts: Mapping[str, Part], of: str = "") -> None:
        part = parts.get(of or folder)
        keep = set(part.saved) if part else set()
        place = self.store.frames_folder(folder, clip)
        for file in sorted(place.glob("*.png")) if place.is_dir() else []:
            if file.stem not in keep:
                _delete(file)


def _delete(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(f"{file}: cannot be deleted ({error.strerror}); it was a candidate and is not shown") from error
