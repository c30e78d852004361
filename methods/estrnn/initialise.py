"""Start ESTRNN as the identity, within its own layers, for short training runs.

The network has no image skip. F_B's strided convolutions sort the pixels of a 4x4 block into 48 of its 64 channels,
residual dense blocks begin as x + 0, the fusion lets the centre's features pass, the transposed convolutions put the
pixels back. The architecture is unchanged; only the starting point is ours.
"""

from __future__ import annotations

from deblurbench.methods.layers import copy_channels, place_blocks, silence, sort_blocks

from .network import FRAMES, JOINT, ESTRNNNetwork, ResidualDenseBlock

COLOURS = 3
SORTED = 16 * COLOURS
CENTRE = (FRAMES - 1) * JOINT


def copy_input(network: ESTRNNNetwork) -> None:
    """Make each restored frame its blurry one (to float32 rounding), in place; other channels keep their start."""
    for module in network.modules():
        if isinstance(module, ResidualDenseBlock):
            silence(module.fuse)
    cell = network.cell
    copy_channels(cell.F_B[0], COLOURS)
    sort_blocks(cell.F_B[2], COLOURS)
    sort_blocks(cell.F_B[4], 4 * COLOURS)
    copy_channels(cell.F_R.fuse[0], SORTED, source=(len(cell.F_R.blocks) - 1) * JOINT)
    copy_channels(cell.F_R.fuse[1], SORTED)
    copy_channels(network.fusion.fuse, SORTED, source=CENTRE, target=CENTRE)
    place_blocks(network.reconstruct[0], 4 * COLOURS, source=CENTRE)
    place_blocks(network.reconstruct[1], COLOURS)
    copy_channels(network.reconstruct[2], COLOURS)
