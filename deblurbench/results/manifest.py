"""run.json: what was asked, what it resolved to, what produced it, and how each method x clip ended.

The file carries a schema version. A reader refuses a newer schema than it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deblurbench.registry.cards import IDENTITY
from deblurbench.registry.protocol import Protocol
from deblurbench.text import counted

SCHEMA = 1
CAUSES = 3
LARGEST = 2**40
"""Above every count, size in pixels and size in bytes of device memory that a run can have."""
Count = Annotated[int, Field(ge=0, le=LARGEST)]
MIXED = "mixed environments: the parts of this run were computed under different packages or processors"


class Record(BaseModel):
    """Base of all records: unknown keys refused."""

    model_config = ConfigDict(extra="forbid")


class Request(Record):
    """What the user asked, after parsing. Two requests that differ never share an output folder."""

    methods: list[str]
    dataset: str
    split: str | None = None
    clips: list[str] | None = None
    partial: bool = False
    data_root: str | None = None
    device: str = "auto"
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    tile: Count | None = None
    limit: Count | None = None
    frames_per_clip: Count | None = None
    save_frames: Literal["none", "sample", "all"] = "sample"
    metrics: list[str] | None = None
    seed: int = 0
    random_weights: bool = False
    shard: str | None = Field(default=None, description="I/N: every N-th clip from the I-th on")


class MethodRecord(Record):
    """A method as it was run. `id` is the name in every table: name:variant, or name where there is one variant."""

    id: str
    name: str
    variant: str
    title: str
    kind: str = "image"
    weights: str | None = Field(default=None, description="tag or file name; None where the method needs none")
    weights_sha256: str | None = None
    random_weights: bool = False
    trained_on: list[str] = Field(default_factory=list)
    of_the_paper: bool = True
    parameters: Count | None = Field(default=None, description="trainable parameters used at inference")
    code_sha256: str = ""
    card_sha256: str = ""
    source: str = Field(default="", description="where it lies, if it was named by a path and not by its name")
    environment: dict[str, str] = Field(
        default_factory=dict,
        description="executable, python, torch, numpy, device of a separate Python environment; else empty",
    )
    includes_startup: bool = Field(default=False, description="a command: its time holds its start-up and disk")
    note: str = ""
    caveat: str = Field(default="", description="what the method said of itself when it was loaded")


class MetricRecord(Record):
    """A metric as it was computed, or the reason why it was not (`absent`)."""

    id: str
    version: Count
    unit: str
    higher_is_better: bool
    level: Literal["frame", "clip"] = "frame"
    decimals: int = Field(default=4, ge=0, le=12)
    title: str = ""
    absent: str | None = None
    code_sha256: str = Field(default="", description="of a metric from a plugin: sha256 over its code")
    implementation: str = Field(
        default="", description="the program that computed it, where it is not part of this package"
    )

    @property
    def key(self) -> int | list[int | str]:
        """What identifies its numbers: the version, and with it the code of a plugin."""
        return [self.version, self.code_sha256] if self.code_sha256 else self.version


class Choice(Record):
    """The frames of a clip whose pictures are kept and shown, and why (see deblurbench.results.frame_choice)."""

    frames: dict[str, list[str]] = Field(description="stem -> reasons: worst, median, best, stride; in order")
    ranked_by: list[str] = Field(default_factory=list, description="methods whose mean value ranked the frames")
    metric: str = Field(default="", description="id of the metric that ranked them; empty where nothing did")
    candidates: Count = Field(default=0, description="how many frames were ranked")
    of: Count = Field(default=0, description="out of how many scored ones")


class ClipRecord(Record):
    """A clip as it was run: names of its frames in order, and which of them are scored."""

    name: str
    frames: list[str]
    scored: list[str]
    released: Count | None = None
    width: Count
    height: Count
    ground_truth: bool = True
    ground_truth_sha256: str = Field(default="", description="sha256 over the pixels of its sharp frames, in order")
    notes: list[str] = Field(default_factory=list)
    choice: Choice | None = Field(default=None, description="frames kept by --save-frames sample; None until chosen")


class Outcome(Record):
    """How one method ended on one clip."""

    method: str
    clip: str
    status: Literal["ok", "failed", "pending"]
    kind: str = Field(default="", description="short cause, e.g. 'raised', 'invalid output', 'killed', 'timeout'")
    reason: str = ""
    traceback: str = ""
    clipped: float = Field(
        default=0.0, ge=0, le=1, description="share of values clipped by more than half a grey level"
    )
    peak_memory: Count | None = Field(
        default=None, description="bytes of device memory for the clip, or of the process so far on a CPU"
    )
    frames_sha256: str = Field(default="", description="sha256 over the restored 8-bit frames")
    ground_truth_sha256: str = Field(default="", description="that of the clip's sharp frames; identity's tells it")
    environment: str = Field(default="", description="digest of the environment that computed it")
    tile: Count | None = Field(
        default=None, description="side of the tiles it was tried again in, out of memory before"
    )
    beside: Count = Field(
        default=0, description="other workers of the run on the same machine; they lengthen its times"
    )


class Manifest(Record):
    """The whole of run.json."""

    schema_version: Count = SCHEMA
    deblurbench: str
    results_version: Count | None = Field(
        default=None, description="RESULTS_VERSION that computed the scores; None in runs that are older than it"
    )
    command: str
    created: str
    finished: str | None = None
    request: Request
    dataset: str = Field(description="name:protocol as in scores.csv; the bare name for the default protocol")
    dataset_title: str
    dataset_card_sha256: str = ""
    protocol: Protocol
    protocol_digest: str
    split: str
    data_root: str
    layout: str = ""
    coverage: str = Field(description="in figures, e.g. '8 of 8 clips, 96 of 96 frames, 56 scored'")
    partial: bool = False
    clips: list[ClipRecord]
    methods: list[MethodRecord]
    metrics: list[MetricRecord]
    device: str = Field(description="the device used, in words, e.g. 'CPU: AMD EPYC, 2 threads'")
    precision: str
    tile: Count | None = None
    timeout: float = Field(default=900.0, ge=0, description="seconds without a frame after which a method was ended")
    environment: dict[str, Any]
    outcomes: list[Outcome] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    invalidated: str | None = Field(default=None, description="the reason, where somebody declared the run invalid")

    def seen_in_training(self, method: MethodRecord) -> list[str]:
        """Entries of a method's training data (dataset[/split[/clip]]) that may hold frames of this run's clips."""
        base = self.protocol.name.partition(":")[0]
        clips = {clip.name for clip in self.clips}
        seen = []
        for entry in method.trained_on:
            dataset, split, clip = [*entry.split("/", 2), "", ""][:3]
            if dataset == base and split in ("", self.split) and (not clip or clip in clips):
                seen.append(entry)
        return seen

    def outcome(self, method: str, clip: str) -> Outcome:
        """The outcome of a method on a clip; pending where there is none yet."""
        for outcome in self.outcomes:
            if outcome.method == method and outcome.clip == clip:
                return outcome
        return Outcome(method=method, clip=clip, status="pending")

    def unscored(self) -> list[str]:
        """Names of the clips on which every method failed, as on a clip whose files do not fit together."""
        return [
            clip.name
            for clip in self.clips
            if self.methods and all(self.outcome(m.id, clip.name).status == "failed" for m in self.methods)
        ]

    def state(self, method: str) -> tuple[str, str]:
        """("ok" | "failed" | "pending", reason) of a method over all clips."""
        outcomes = [self.outcome(method, clip.name) for clip in self.clips]
        failed = [o for o in outcomes if o.status == "failed"]
        if failed:
            share = f"{len(failed)} of {counted(len(outcomes), 'clip')}"
            return "failed", f"failed on {share}: {causes(failed)}"
        if any(o.status == "pending" for o in outcomes):
            return "pending", f"{sum(o.status == 'ok' for o in outcomes)} of {counted(len(outcomes), 'clip')} done"
        return "ok", ""


def causes(failed: Sequence[Outcome]) -> str:
    """Why clips failed, each cause with the first clip that has it; of several causes one line each, three at most."""
    firsts: dict[str, Outcome] = {}
    for outcome in failed:
        firsts.setdefault(outcome.reason.replace(outcome.clip, ""), outcome)
    if len(firsts) == 1:
        return f"{failed[0].clip}: {failed[0].reason}"
    shown = [f"{o.clip}: {o.reason.splitlines()[0] if o.reason else o.kind}" for o in list(firsts.values())[:CAUSES]]
    more = len(firsts) - len(shown)
    return "; ".join(shown) + (f"; and {counted(more, 'other cause')}" if more else "")


def unlike_data(one: Manifest, two: Manifest) -> str:
    """Why two runs under the same protocol were not scored alike on the same pictures; empty where nothing says so.

    A protocol says which frames are scored, not what they show: any folder has the same one. Clips of the same frames
    are held to the sha256 over their ground truth and over their blurry input, where both runs recorded it.
    """
    if one.split != two.split:
        return f"split {one.split} is not {two.split}"
    if one.results_version != two.results_version and one.results_version and two.results_version:
        return f"results version {one.results_version} is not {two.results_version}; repeat the older run's command"
    clips = {clip.name: clip for clip in one.clips}
    for clip in two.clips:
        other = clips.get(clip.name)
        if other is None or other.frames != clip.frames:
            continue
        truths = other.ground_truth_sha256, clip.ground_truth_sha256
        for what, (first, second) in (("ground truth", truths), ("blurry input", _blurry_sha256(clip.name, one, two))):
            if first and second and first != second:
                return f"the {what} of clip {clip.name} has other pixels ({first[:12]}, {second[:12]})"
    return ""


def run_warnings(outcomes: Sequence[Outcome]) -> list[str]:
    """What every table of a run says of how its clips were computed."""
    most = max((outcome.beside for outcome in outcomes), default=0)
    beside = f"up to {counted(most + 1, 'worker')} ran side by side on one machine: times are longer than of one alone"
    return [MIXED] * is_mixed(outcomes) + [beside] * bool(most)


def is_mixed(outcomes: Iterable[Outcome]) -> bool:
    """Whether clips were computed under unlike packages or processors."""
    return len({outcome.environment for outcome in outcomes if outcome.environment}) > 1


def _blurry_sha256(clip: str, one: Manifest, two: Manifest) -> tuple[str, str]:
    """sha256 over all blurry frames of a clip in two runs, which are what `identity` restored; empty where unknown."""
    return one.outcome(IDENTITY, clip).frames_sha256, two.outcome(IDENTITY, clip).frames_sha256
