"""torchmetrics' own DISTS network as a twin, with a stand-in for torchvision and whatever trunk is given."""

from __future__ import annotations

import types

import torch

from tests.golden.lpips_twin import vgg16_features
from tests.golden.torchvision_stand_in import import_with_stand_in


def dists_network(trunk: dict[str, torch.Tensor] | None = None, seed: int = 0) -> torch.nn.Module:
    """`DISTSNetwork` of the installed torchmetrics; a random trunk, or torchvision's `features...` tensors.

    torchvision's binary often does not fit torch's, and its weights are downloads: only the layers of VGG-16's
    features are needed of it.
    """
    torch.manual_seed(seed)
    features = vgg16_features()
    if trunk is not None:
        features.load_state_dict({key.removeprefix("features."): value for key, value in trunk.items()})
    module = import_with_stand_in("torchmetrics.functional.image.dists")
    module._TORCHVISION_AVAILABLE = True
    module.vgg16 = lambda weights=None: types.SimpleNamespace(features=features)
    module.VGG16_Weights = types.SimpleNamespace(DEFAULT=None)
    return module.DISTSNetwork().eval().double()


def dists_distance(network: torch.nn.Module, restored, sharp) -> float:
    """The network's distance of two uint8 (H, W, 3) frames, in [0, 1]; in float64, see docs/metrics.md."""
    one, two = (torch.from_numpy(f.astype("float64") / 255).permute(2, 0, 1)[None] for f in (restored, sharp))
    return float(network(one, two).detach())
