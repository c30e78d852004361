"""Metrics from plugin folders: `metrics/<name>/card.yaml` and a function, found as methods are."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deblurbench.errors import CardError
from deblurbench.metrics.base import Metric
from deblurbench.registry.cards import MetricCard
from deblurbench.registry.discovery import Plugin, plugins


@dataclass(frozen=True, kw_only=True)
class PluginMetric(Metric):
    """A metric whose function lies in a plugin's folder; `code` is the sha256 over that folder's code."""

    plugin: Plugin

    @property
    def code(self) -> str:
        """sha256 over the plugin's code."""
        return self.plugin.code_digest()

    def is_here(self) -> bool:
        """Whether its packages are installed is known when it is loaded."""
        return True

    def load(self, device: str = "cpu") -> Any:
        """The function of a frame-level metric, called by one thread at a time; the class of a clip-level one.

        Raises:
            CardError: it fails to import. MissingError: a package that its card names is not installed.
        """
        function = self.plugin.load()
        if not callable(function):
            raise CardError(f"metric {self.id!r}: {self.entry} is a {type(function).__name__}, no function or class")
        return function if self.level == "clip" else _one_at_a_time(function, self.id)


def _one_at_a_time(function: Callable[..., Any], name: str) -> Callable[..., float]:
    lock = threading.Lock()

    def score(restored: Any, sharp: Any = None) -> float:
        with lock:
            value = function(restored) if sharp is None else function(restored, sharp)
        number = float(value)
        if math.isnan(number):
            raise ValueError(f"metric {name!r} is nan for a frame of {restored.shape[1]}x{restored.shape[0]}")
        return number

    return score


def described(plugin: Plugin) -> PluginMetric:
    """A plugin's card as a row of the table of metrics."""
    card = plugin.card
    if not isinstance(card, MetricCard):
        raise CardError(f"metric {plugin.name!r} is broken: {plugin.error}")
    return PluginMetric(
        plugin=plugin, id=card.name, version=card.version, title=card.title, unit=card.unit,
        higher_is_better=card.better == "higher", best=math.nan if card.best is None else card.best,
        decimals=card.decimals, citation=card.citation, twin=card.twin, entry=card.entry, level=card.level,
        needs_reference=card.needs_reference, min_size=card.min_size,
    )  # fmt: skip


class MetricTable(Mapping[str, Metric]):
    """The built-in metrics, and behind them those of plugins whose cards can be read.

    Raises:
        CardError: when read, if a plugin is called as a built-in metric is.
    """

    def __init__(self, built_in: Mapping[str, Metric]) -> None:
        self.built_in = built_in

    def _all(self) -> dict[str, Metric]:
        found = {name: described(plugin) for name, plugin in plugins("metrics").items() if plugin.card is not None}
        for name in found.keys() & self.built_in.keys():
            raise CardError(
                f"two metrics are called {name!r}: a built-in one and {found[name].plugin.folder}. Rename it."
            )
        return {**self.built_in, **found}

    def __getitem__(self, name: str) -> Metric:
        return self.built_in[name] if name in self.built_in else self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
