"""Cards: what a plugin says about itself, in card.yaml, readable without importing its code.

Models are frozen and refuse unknown keys. All errors of a card are reported at once, each with its path.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from deblurbench.errors import CardError, UsageError
from deblurbench.registry.protocol import Protocol
from deblurbench.text import did_you_mean

ENTRY = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
IDENTITY = "identity"  # the method that gives back the blurry input
COMMAND = "deblurbench.backends.command:CommandMethod"  # what runs a card with a `command`
PLACEHOLDER = re.compile(r"\{(\w+)\}")
LARGEST = 2**15  # pixels or frames that a card may ask for


class Frozen(BaseModel):
    """Base of all cards: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Needs(Frozen):
    """What a method needs of the frames it is given."""

    multiple_of: int = Field(
        default=1, ge=1, le=LARGEST, description="both sides are padded to this multiple, and cropped after"
    )
    window: int = Field(default=0, ge=0, le=LARGEST, description="frames on either side that one restored frame reads")
    causal: bool = Field(default=True, description="a restored frame depends on no later frame")
    min_size: int = Field(default=1, ge=1, le=LARGEST, description="shortest side the network can take, in pixels")
    retry_tile: int | None = Field(
        default=None,
        ge=32,
        le=LARGEST,
        description="side of the tiles in which a clip is tried again when memory runs out",
    )
    form: Literal["frame", "window", "recurrent", "clip"] | None = Field(
        default=None, description="how a network from outside is called; by default a window where `window` is given"
    )
    chunk: int | None = Field(
        default=None, ge=1, description="frames that a `clip` is cut into; by default all at once"
    )
    overlap: int = Field(default=0, ge=0, description="frames that neighbouring chunks share")
    border: int = Field(default=0, ge=0, description="frames at both ends of a `clip` that the network gives not back")
    stack: Literal["frames", "channels"] = Field(default="frames", description="a window as (1,T,3,H,W) or (1,3T,H,W)")
    range: tuple[float, float] = Field(default=(0.0, 1.0), description="what black and white are to the network")
    colours: Literal["rgb", "bgr"] = "rgb"
    size: tuple[int, int] | None = Field(default=None, description="the one (width, height) that it takes: tiles")
    output: int | str | None = Field(default=None, description="which of several outputs is the restored frame")

    @model_validator(mode="before")
    @classmethod
    def _clips_are_not_causal(cls, raw: Any) -> Any:
        return {"causal": False, **raw} if isinstance(raw, dict) and raw.get("form") == "clip" else raw

    @model_validator(mode="after")
    def _is_possible(self) -> Needs:
        if self.range[0] >= self.range[1]:
            raise ValueError(f"range {list(self.range)}: black must be below white, e.g. [0, 1] or [-0.5, 0.5]")
        if self.form == "window" and not self.window:
            raise ValueError("form: window needs `window`, the number of frames on either side")
        if (self.form == "clip" and self.window) or (
            self.form != "clip" and (self.chunk or self.overlap or self.border)
        ):
            raise ValueError("chunk, overlap and border belong to form: clip, `window` to the other forms")
        if self.overlap and self.overlap >= (self.chunk or 1):
            raise ValueError(f"overlap {self.overlap}: must be less than `chunk`, the frames restored in one call")
        if self.size and min(self.size) < 1:
            raise ValueError(f"size {list(self.size)}: width and height in pixels, both at least 1")
        return self


Kind: TypeAlias = Literal["baseline", "image", "window", "recurrent", "video"]


class Variant(Frozen):
    """One configuration of a method: the parameters its class is called with."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    summary: str = ""
    kind: Kind | None = Field(default=None, description="where it is another than the card's")
    needs: dict[str, Any] = Field(default_factory=dict, description="what differs from the card's `needs`")
    of_the_paper: bool = True
    recipe: str = Field(default="quick", description="the recipe for a short training; `train` takes it by default")
    parameter_count: int | None = Field(default=None, description="trainable parameters at inference; a test checks it")


class Weights(Frozen):
    """One shipped weight file (safetensors), named by its tag."""

    tag: str
    variant: str
    file: str = Field(description="relative to the method's folder")
    sha256: str = Field(pattern=r"^([0-9a-f]{64})?$", description="may be left out beside `network` only")
    origin: Literal["ours", "official", "public"] = Field(
        default="ours", description="trained by us, by the authors, or by a public re-implementation"
    )
    trained_on: tuple[str, ...] = Field(default=(), description="dataset[/split[/clip]] seen in training")
    recipe: str = ""
    training: dict[str, Any] = Field(default_factory=dict, description="steps, seed, device, hours, commit, validation")
    note: str = ""


class Published(Frozen):
    """A number that a paper reports, and the protocol as far as the paper tells it."""

    variant: str = ""
    protocol: str = Field(description="our protocol's name where it is the same, otherwise a description")
    metric: str
    value: float
    source: str
    note: str = ""


class Status(Frozen):
    """How a method stands against its paper under one protocol."""

    state: Literal["reproduces", "runs", "differs"]
    note: str = ""


class Default(Frozen):
    """What the bare method name means."""

    variant: str
    weights: str | None = None


class PluginCard(Frozen):
    """What every card begins with."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    entry: str = Field(pattern=ENTRY, description="module:Class in the plugin's folder")
    title: str
    summary: str = ""
    authors: str = ""
    paper_title: str = Field(default="", description="title of the paper, where it is not the card's")
    venue: str = ""
    year: int | None = None
    doi: str = ""
    url: str = ""
    licence: str = ""
    requires: tuple[str, ...] = Field(default=(), description="packages besides the harness's own, as pip takes them")
    install: str = Field(default="", description="the command that installs them; by default pip install")

    @field_validator("requires")
    @classmethod
    def _requirements_can_be_read(cls, requires: tuple[str, ...]) -> tuple[str, ...]:
        for text in requires:
            parse_requirement(text)
        return requires


def parse_requirement(text: str) -> list[Requirement]:
    """The alternatives of an entry of `requires`: `a>=1.2|b` is met by either.

    Raises:
        ValueError: one of them is no requirement as pip takes them.
    """
    try:
        return [Requirement(part) for part in text.split("|")]
    except InvalidRequirement as error:
        raise ValueError(
            f"{text[:60]!r} is no requirement, such as onnxruntime>=1.20 ({str(error).splitlines()[0]})"
        ) from error


FOREIGN = ("form", "chunk", "overlap", "border", "stack", "range", "colours", "size", "output")
"""What `needs` says of a network from outside; a class of `entry` sees frames in [0, 1] and converts by itself."""
ADAPTER = "deblurbench.methods.torch_module:TorchModule"


class MethodCard(PluginCard):
    """methods/<name>/card.yaml."""

    network: str | None = Field(default=None, pattern=ENTRY, description="package.module:Class of a torch.nn.Module")
    path: str = Field(default="", description="folder that `network` is imported from; by default what is installed")
    opens: tuple[str, ...] = Field(default=(), description="suffixes of the files that it makes methods of")
    kind: Kind = "image"
    needs: Needs = Needs()
    variants: dict[str, Variant] = Field(default_factory=lambda: {"default": Variant()}, min_length=1)
    default: Default | None = None
    weights: tuple[Weights, ...] = ()
    trainable: bool = False
    python: str | None = Field(
        default=None, description="environment of its own: a venv folder or an interpreter, relative to the card"
    )
    recipes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    paper: tuple[Published, ...] = ()
    status: dict[str, Status] = Field(default_factory=dict)
    command: tuple[str, ...] = Field(
        default=(), description="in place of `entry`: a program and its words, with {input} and {output} folders"
    )
    command_results: Literal["same-names", "in-order"] = Field(
        default="same-names", description="restored frames are named as the blurry ones, or taken in natural order"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_a_network(cls, raw: Any) -> Any:
        """Beside `network` the entry is ours, and `weights: net.pth` is short for an entry with that file."""
        if not (isinstance(raw, dict) and raw.get("network")):
            return raw
        given = raw.get("weights") or []
        given = given if isinstance(given, list) else [given]
        entries = [{"file": entry} if isinstance(entry, str) else entry for entry in given]
        variants = raw.get("variants")
        variant = next(iter(variants), "default") if isinstance(variants, dict) else "default"
        least = {"variant": variant, "origin": "public", "sha256": ""}
        whole = [least | {"tag": Path(str(e.get("file"))).stem} | e if isinstance(e, dict) else e for e in entries]
        needs = raw.get("needs")
        clip = {"kind": "video"} if isinstance(needs, dict) and needs.get("form") == "clip" else {}
        return {"entry": ADAPTER} | clip | raw | {"weights": whole}

    @model_validator(mode="after")
    def _is_whole(self) -> MethodCard:
        if (self.entry == ADAPTER) != bool(self.network):
            raise ValueError("give either `entry`, module:Class beside the card, or `network`, a torch module's class")
        foreign = [key for key in FOREIGN if key in self.needs.model_fields_set]
        if foreign and not (self.network or self.opens):
            raise ValueError(
                f"needs.{foreign[0]} is for networks from outside; the class of `entry` converts by itself"
            )
        unsealed = [weight.tag for weight in self.weights if not weight.sha256]
        if unsealed and not self.network:
            raise ValueError(f"weights {unsealed[0]!r} have no sha256")
        return self

    @model_validator(mode="before")
    @classmethod
    def _entry_of_a_command(cls, raw: Any) -> Any:
        return {"entry": COMMAND, **raw} if isinstance(raw, dict) and raw.get("command") else raw

    @model_validator(mode="after")
    def _command_is_whole(self) -> MethodCard:
        if bool(self.command) != (self.entry == COMMAND):
            raise ValueError("give either `entry`, a class, or `command`, a program and its words")
        if self.command and (self.trainable or self.weights):
            raise ValueError("a `command` has no weights here: name its files in the command itself")
        named = {name for word in self.command for name in PLACEHOLDER.findall(word)}
        for name in sorted({"input", "output"} - named if self.command else ()):
            raise ValueError(f"`command` needs the word {{{name}}}, the folder of its {name} frames")
        for variant in self.variants.values():
            known = {"input", "output", "device", "precision", "tile", *variant.parameters}
            for name in sorted(named - known):
                raise ValueError(f"`command` has {{{name}}}. {did_you_mean(name, known)}")
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> MethodCard:
        for weight in self.weights:
            if weight.variant not in self.variants:
                raise ValueError(f"weights {weight.tag!r} name variant {weight.variant!r}, which is not in variants")
        if self.default and self.default.variant not in self.variants:
            raise ValueError(f"default names variant {self.default.variant!r}, which is not in variants")
        return self

    @model_validator(mode="after")
    def _needs_are_known(self) -> MethodCard:
        for name, variant in self.variants.items():
            if variant.needs and (self.network or self.opens):
                raise ValueError(f"variant {name!r}, needs: a network from outside has one `needs`, the card's")
            for key in sorted(variant.needs.keys() - Needs.model_fields.keys()):
                raise ValueError(f"variant {name!r}, needs.{key}: no such key. {did_you_mean(key, Needs.model_fields)}")
            try:
                self.needs_of(name)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, ("needs", *first["loc"])))
                raise ValueError(f"variant {name!r}, {place}: {first['msg']} (found {first['input']!r})") from error
        return self

    def needs_of(self, variant: str) -> Needs:
        """What a variant needs of its frames: the card's `needs`, and over them the variant's own."""
        own = self.variants[variant].needs
        return Needs(**{**self.needs.model_dump(exclude_unset=True), **own}) if own else self.needs

    def kind_of(self, variant: str) -> Kind:
        """What a variant restores at a time: its own kind, or the card's."""
        return self.variants[variant].kind or self.kind

    @property
    def default_variant(self) -> str:
        """The variant that the bare name means: the card's default, else its first."""
        return self.default.variant if self.default else next(iter(self.variants))

    def known_variant(self, name: str | None) -> str:
        """A variant by its name, the default one for None.

        Raises:
            UsageError: no such variant; the nearest name is given.
        """
        variant = name or self.default_variant
        if variant not in self.variants:
            raise UsageError(f"method {self.name!r} has no variant {variant!r}. {did_you_mean(variant, self.variants)}")
        return variant

    @property
    def needs_weights(self) -> bool:
        """Whether scoring this method without weights would score random numbers."""
        return self.trainable or bool(self.network) or bool(self.opens)

    @property
    def without_weights(self) -> str:
        """What stands in the place of weights where the card has none."""
        if self.opens:
            return f"runs {', '.join(self.opens)} files"
        return "train it" if self.trainable else "name a checkpoint" if self.network else "needs none"


class ExpectedClip(Frozen):
    """A clip as the dataset's authors released it."""

    name: str
    frames: int = Field(ge=1)
    first: str | None = Field(default=None, description="stem of its first frame, where it is known")


class DatasetCard(PluginCard):
    """datasets/<name>/card.yaml."""

    splits: dict[str, tuple[ExpectedClip, ...]] = Field(default_factory=dict)
    protocols: tuple[Protocol, ...] = Field(min_length=1, description="the first is the default")
    size: tuple[int, int] | None = Field(default=None, description="(width, height) as released")
    obtain: str = Field(default="", description="where it comes from, and its licence; printed when it is missing")
    layout: str = Field(default="", description="the folders expected, drawn as text")
    needs_root: bool = True
    not_for_training: str = Field(default="", description="why it cannot be trained on, and what to take instead")
    several_roots: bool = Field(default=False, description="its files may lie in several folders, joined as in PATH")
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _protocols_belong(self) -> DatasetCard:
        for protocol in self.protocols:
            if protocol.name != self.name and not protocol.name.startswith(f"{self.name}:"):
                raise ValueError(f"protocol {protocol.name!r} must be named {self.name!r} or '{self.name}:...'")
        return self

    def protocol(self, name: str | None) -> Protocol:
        """The protocol called `dataset:name`, or the default for None.

        Raises:
            CardError: no such protocol; the nearest name is given.
        """
        if name is None:
            return self.protocols[0]
        full_name = f"{self.name}:{name}"
        for protocol in self.protocols:
            if protocol.name == full_name:
                return protocol
        names = [p.name for p in self.protocols]
        raise CardError(f"dataset {self.name!r} has no protocol {full_name!r}. {did_you_mean(full_name, names)}")


class ReportCard(PluginCard):
    """reports/<name>/card.yaml."""

    default: bool = Field(default=True, description="whether `run` writes it without being asked")
    order: int = 0


class MetricCard(PluginCard):
    """metrics/<name>/card.yaml in a folder of plugins."""

    version: int = Field(default=1, ge=1, description="rises whenever a number could change")
    unit: str = ""
    better: Literal["higher", "lower"] = Field(description="which way is better")
    best: float | None = Field(default=None, description="the value on identical frames; left out where there is none")
    bounds: tuple[float, float] | None = Field(default=None, description="no value lies outside")
    symmetric: bool = Field(default=False, description="restored and sharp can be exchanged")
    decimals: int = Field(default=4, ge=0, le=12)
    level: Literal["frame", "clip"] = "frame"
    needs_reference: bool = True
    citation: str
    min_size: int = Field(default=1, ge=1, description="shortest side of a frame that it can take, in pixels")
    twin: str = Field(default="", description="the implementation whose numbers it equals")
