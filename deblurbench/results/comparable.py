"""Which runs may be compared: the one rule behind tables, comparisons and the leaderboard.

Two runs are comparable where they follow the same protocol (by digest), computed the metrics they share in the same
versions, and scored the same pictures. A table of means also needs the same scored frames; a paired comparison takes
the frames that both runs scored.
"""

from __future__ import annotations

from dataclasses import dataclass

from deblurbench.results.manifest import Manifest, MetricRecord, unlike_data


@dataclass(frozen=True)
class Comparability:
    """Why two runs are not comparable: a reason in words for each rule that is broken, empty where it is kept."""

    protocol: str = ""
    metrics: tuple[tuple[str, str], ...] = ()  # (metric id, reason)
    frames: str = ""
    data: str = ""

    @property
    def means(self) -> str:
        """Why the runs' means cannot stand in one table; empty where they can."""
        return self.protocol or self._metrics or self.frames or self.data

    @property
    def pairs(self) -> str:
        """Why the runs cannot be paired over the frames that both scored; empty where they can."""
        return self.protocol or self._metrics or self.data

    @property
    def _metrics(self) -> str:
        return "; ".join(reason for _, reason in self.metrics)

    def mark(self, metric: str) -> str:
        """What a paired difference by one metric is marked with: every broken rule that concerns it, in short."""
        data = "other protocol" if self.protocol else "other data" if self.data else ""
        version = "other metric version" if metric in dict(self.metrics) else ""
        return "; ".join(filter(None, (data, version)))


def _unlike_metric(one: MetricRecord, two: MetricRecord) -> str:
    if one.version != two.version:
        return f"metric {one.id} has version {one.version} in one and {two.version} in the other"
    return f"metric {one.id} was computed by unlike code ({one.code_sha256[:12]}, {two.code_sha256[:12]})"


def comparability(one: Manifest, two: Manifest) -> Comparability:
    """Hold two runs to the rule of comparability."""
    protocol = ""
    if one.protocol_digest != two.protocol_digest:
        before, after = (f"{m.protocol.name} v{m.protocol.version} ({m.protocol_digest[:12]})" for m in (one, two))
        protocol = f"protocol {before} is not {after}"
    first = {m.id: m for m in one.metrics if not m.absent}
    unlike = [(first[m.id], m) for m in two.metrics if m.id in first and not m.absent and first[m.id].key != m.key]
    metrics = tuple((m.id, _unlike_metric(other, m)) for other, m in unlike)
    frames = ""
    if {c.name: c.scored for c in one.clips} != {c.name: c.scored for c in two.clips}:
        frames = f"they score different frames ({one.coverage}; {two.coverage})"
    return Comparability(protocol, metrics, frames, unlike_data(one, two))
