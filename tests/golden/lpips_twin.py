"""The package `lpips` itself as a twin, without torchvision: its trunks are written out here in plain torch.

torchvision's binary must fit torch's, which it often does not, and its weights are downloads. Only the definitions of
three feature extractors are needed of it, so a stand-in module offers those, with random weights until
`load_trunk` puts others in. Independent of deblurbench.metrics.lpips_trunks, which is what is tested.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Fire(nn.Module):
    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, kernel_size=1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, kernel_size=1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, kernel_size=3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], 1)


def alexnet_features() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip


def vgg16_features() -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 3
    for entry in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        if entry == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(inputs, entry, 3, padding=1), nn.ReLU()]
            inputs = entry
    return nn.Sequential(*layers)


def squeezenet_features() -> nn.Sequential:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool(),
        Fire(128, 32, 128), Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192),
        Fire(384, 64, 256), Fire(512, 64, 256),
    )  # fmt: skip


@contextmanager
def _stand_in_for_torchvision() -> Iterator[None]:
    models = types.ModuleType("torchvision.models")
    for name, features in (
        ("alexnet", alexnet_features),
        ("vgg16", vgg16_features),
        ("squeezenet1_1", squeezenet_features),
    ):
        setattr(models, name, lambda pretrained=False, make=features: types.SimpleNamespace(features=make()))
    package = types.ModuleType("torchvision")
    package.models = models
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in ("torchvision", "lpips")}
    sys.modules |= {"torchvision": package, "torchvision.models": models}
    try:
        yield
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] in ("torchvision", "lpips")]:
            del sys.modules[name]
        sys.modules.update(kept)


def lpips_package(name: str, seed: int = 0) -> nn.Module:
    """`lpips.LPIPS(net=name)` of the installed package, version 0.1, its own heads, a random trunk."""
    with _stand_in_for_torchvision():
        import lpips

        torch.manual_seed(seed)
        return lpips.LPIPS(net=name, version="0.1", pnet_rand=True, verbose=False).eval()


def trunk_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The trunk's tensors of the package's network, under torchvision's names."""
    found = {}
    for key, value in network.state_dict().items():
        if key.startswith("net.slice"):
            found["features." + key.split(".", 2)[2]] = value
    return found


def load_trunk(network: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Put a trunk (torchvision's names, or a complete LPIPS state dict) into the package's network."""
    own = network.state_dict()
    for key in own:
        if key.startswith("net.slice"):
            bare = "features." + key.split(".", 2)[2]
            own[key] = state[key] if key in state else state[bare]
    network.load_state_dict(own, strict=True)


def package_distance(network: nn.Module, restored, sharp) -> float:
    """The package's distance of two uint8 (H, W, 3) frames, by its own im2tensor scaling: / 127.5 - 1."""
    one, two = (
        torch.from_numpy(f.astype("float64") / (255 / 2) - 1).float().permute(2, 0, 1)[None] for f in (restored, sharp)
    )
    with torch.no_grad():
        return float(network(one, two))
