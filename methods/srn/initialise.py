"""First weights of SRN: Xavier as in the paper, or the identity for short training runs.

The identity is written into the network's own layers: three channels carry the blurry frame through the encoder's
first skip to the last convolution. The architecture is unchanged.
"""

from __future__ import annotations

import torch
from torch import nn

from .network import SRNNetwork

LIFT = 0.05


@torch.no_grad()
def xavier(network: nn.Module) -> None:
    """Xavier uniform weights and zero biases, as in the paper."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            module.bias.zero_()


@torch.no_grad()
def copy_input(network: SRNNetwork, residual: float = 0.0) -> None:
    """Make every scale's prediction equal its blurry input (to 1e-6, for inputs in [0, 1]), in place.

    Weights by which other channels would reach the frame start at zero and receive gradients. The decoder's three
    channels that meet the copy start at a constant LIFT, taken off again by the last bias, so that their ReLU is open.
    `residual` scales the last convolution of every ResBlock at full size: 0 copies exactly.
    """
    encoder, decoder = network.encoder, network.decoder
    if network.skip:  # the copy is added at the end: what the layers predict starts at zero
        decoder.leave.weight.zero_()
        _biases(decoder.leave).zero_()
        return
    colours = decoder.leave.out_channels
    _delta(encoder.enter32, colours)
    for block in [*encoder.blocks32, *decoder.blocks32]:
        block.second.weight.mul_(residual)
        block.second.bias.mul_(residual)
    decoder.up32.weight[:, :colours] = 0
    _biases(decoder.up32)[:colours] = LIFT
    _delta(decoder.leave, colours)
    _biases(decoder.leave)[:] = -LIFT


def _delta(conv: nn.Conv2d, colours: int) -> None:
    """Let the first `colours` outputs copy the first `colours` inputs."""
    conv.weight[:colours] = 0
    _biases(conv)[:colours] = 0
    middle = conv.weight.shape[-1] // 2
    for colour in range(colours):
        conv.weight[colour, colour, middle, middle] = 1


def _biases(conv: nn.Conv2d | nn.ConvTranspose2d) -> torch.Tensor:
    assert conv.bias is not None
    return conv.bias
