"""Blind deconvolution: nothing is known of the blur, so its PSF is estimated for each frame, or for each tile of it.

A first approximation, a deconvolution, a better PSF, and again (see
`psf.py` for how). The blur may have any shape, but is one for the whole frame (`tile: null`) or tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from deblurbench.errors import UsageError
from deblurbench.methods.deconvolution import Array, DeconvolutionMethod, refuse_longer
from deblurbench.methods.tiling import restore_tiled

from .psf import estimate_psf, odd, regularised, spread


class BlindDeconvolution(DeconvolutionMethod):
    """A PSF of at most `side` pixels a side, for the frame or for each overlapping tile of `tile` pixels, blended.

    A PSF that spreads by less than `least_spread` pixels is no blur worth undoing: the frame comes back as it was.

    Raises:
        UsageError: the tiles are shorter than twice the PSF.
    """

    def __init__(
        self, side: int = 25, tile: int | None = None, least_spread: float = 1.5, gamma: float = 1.0
    ) -> None:  # fmt: skip
        super().__init__(gamma)
        self.side, self.tile, self.least_spread = odd(side), tile, least_spread
        if tile is not None and tile < 2 * side:
            raise UsageError(
                f"a PSF of {side} pixels cannot be estimated from tiles of {tile}: set `tile` to at least {2 * side}, "
                "or a smaller `side`"
            )

    def psf(self, frame: Array) -> Array | None:
        """The PSF estimated from a frame or tile (3, H, W); None where it hardly spreads, or nothing is seen.

        Raises:
            UsageError: the PSF to be estimated is longer than the frame's shorter side.
        """
        refuse_longer(self.side, frame, "side", "restore larger frames")
        found = estimate_psf(frame.mean(axis=0), self.side)
        return found if spread(found) >= self.least_spread else None

    def deconvolve(self, channel: Array, psf: Array) -> Array:
        """One padded channel (H, W) and its PSF to the restored channel."""
        return regularised(channel, psf)

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Restore frame by frame, in tiles where that is asked for."""
        return super().restore(frames) if self.tile is None else restore_tiled(super().restore, frames, self.tile, 1)
