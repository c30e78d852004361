"""What a run tells while it goes on. Apart from the runner, so that who only draws it imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deblurbench.results.manifest import Outcome


class Listener:
    """Told what happens, for progress bars. This one listens and says nothing."""

    def begin(self, total: int, cached: int) -> None:
        """The run begins: frames to restore, and frames already there."""

    def clip(self, method: str, clip: str, frames: int) -> None:
        """A method begins a clip."""

    def frame(self, method: str, clip: str, stem: str) -> None:
        """A frame was restored."""

    def outcome(self, outcome: Outcome) -> None:
        """A clip ended."""

    def say(self, text: str) -> None:
        """Something worth telling happened."""
