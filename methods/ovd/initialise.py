"""Start OVD near the identity, within its own layers, for short training runs.

The network has no image skip. The first strided convolution sorts the centre frame's pixels into 12 of 32 channels
(lifted above 0, so that every ReLU lets them pass), ResBlocks begin as x + 0, the blending begins with the present
frame's features, the transposed convolution puts the pixels back. The architecture is unchanged.
"""

from __future__ import annotations

import torch

from deblurbench.methods.layers import copy_channels, place_blocks, silence, sort_blocks

from .network import FRAMES, OVDNetwork

COLOURS = 3
CENTRE = COLOURS * (FRAMES // 2)
LIFT = 0.5
PRESENT = 5.0


@torch.no_grad()
def copy_input(network: OVDNetwork) -> None:
    """Make each restored frame its blurry one, but for 1.4 % of the frame before (w = 2 sigmoid(5) - 1), in place."""
    for block in [*network.encoder, *network.decoder]:
        silence(block.branch[-1])
    copy_channels(network.enter[0], COLOURS, source=CENTRE)
    network.enter[0].bias[:COLOURS] = LIFT
    sort_blocks(network.enter[2], COLOURS)
    network.blend.weigh.weight[: 4 * COLOURS] = 0
    network.blend.weigh.bias[: 4 * COLOURS] = PRESENT
    place_blocks(network.leave[0], COLOURS)
    copy_channels(network.leave[2], COLOURS)
    network.leave[2].bias[:] = -LIFT
