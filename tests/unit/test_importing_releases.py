"""Checkpoints of authors' releases: computed in plain functions by their names, and by our networks after import."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from deblurbench.errors import UsageError
from deblurbench.methods.weights.convert import convert, read_foreign
from deblurbench.registry.discovery import plugin


class Weights(dict):
    """Named tensors, and the layers that they are used in."""

    def conv(self, x, name, stride=1, groups=1):
        kernel = self[f"{name}.weight"]
        return F.conv2d(x, kernel, self.get(f"{name}.bias"), stride, kernel.shape[-1] // 2, 1, groups)

    def up(self, x, name):
        return F.conv_transpose2d(x, self[f"{name}.weight"], self[f"{name}.bias"], 2, 1, 1)

    def add(self, name, *shape, bias=True, outputs=None):
        fan = max(1, torch.tensor(shape[1:]).prod().item())
        self[f"{name}.weight"] = torch.randn(shape) * fan**-0.5
        if bias:
            self[f"{name}.bias"] = torch.randn(outputs or shape[0]) * 0.1


def imported(tmp_path, weights, wrap, method, variant):
    """The method with the weights after import, and the import."""
    torch.save(wrap(dict(weights)), tmp_path / "release.pth")
    found = plugin("methods", method)
    fit = convert(found, variant, read_foreign(tmp_path / "release.pth"))
    restorer = found.load()(**found.card.variants[variant].parameters)
    restorer.network.load_state_dict(fit.weights, strict=True)
    restorer.network.eval()
    return restorer, fit


# ---- ESTRNN


def estrnn_block(weights, name, channels, growth):
    for place in range(3):
        weights.add(f"{name}.dense_layers.{place}.conv", growth, channels + place * growth, 3, 3)
    weights.add(f"{name}.conv1x1", channels, channels + 3 * growth, 1, 1)


def estrnn_release(blocks):
    w = Weights()
    w.add("cell.F_B0", 16, 3, 5, 5)
    for part, channels, growth in (("F_B1", 16, 16), ("F_B2", 32, 24)):
        estrnn_block(w, f"cell.{part}.rdb", channels, growth)
        w.add(f"cell.{part}.down_sampling", 2 * channels, channels, 5, 5)
    for place in range(blocks):
        estrnn_block(w, f"cell.F_R.RDBs.{place}", 80, 32)
    w.add("cell.F_R.conv1x1", 80, 80 * blocks, 1, 1)
    w.add("cell.F_R.conv3x3", 80, 80, 3, 3)
    w.add("cell.F_h.0", 16, 80, 3, 3)
    estrnn_block(w, "cell.F_h.1", 16, 16)
    w.add("cell.F_h.2", 16, 16, 3, 3)
    w.add("recons.model.0", 400, 32, 3, 3, outputs=32)
    w.add("recons.model.1", 32, 16, 3, 3, outputs=16)
    w.add("recons.model.2", 3, 16, 5, 5)
    w.add("fusion.F_f.0", 320, 160)
    w.add("fusion.F_f.2", 160, 320)
    w.add("fusion.F_p.0", 320, 160, 1, 1)
    w.add("fusion.F_p.1", 160, 320, 1, 1)
    w.add("fusion.condense", 80, 160, 1, 1)
    w.add("fusion.fusion", 400, 400, 1, 1)
    return w


def estrnn_forward(w, clip, blocks):
    """The release on BGR frames (T, 3, H, W) in [-0.5, 0.5]: those with two neighbours on either side."""

    def dense(x, name):
        features = x
        for place in range(3):
            features = torch.cat([features, F.gelu(w.conv(features, f"{name}.dense_layers.{place}.conv"))], 1)
        return x + w.conv(features, f"{name}.conv1x1")

    state, features, out = torch.zeros(1, 16, clip.shape[2] // 4, clip.shape[3] // 4), [], []
    for frame in clip:
        x = w.conv(frame[None], "cell.F_B0")
        for part in ("F_B1", "F_B2"):
            x = w.conv(dense(x, f"cell.{part}.rdb"), f"cell.{part}.down_sampling", 2)
        x, outputs = torch.cat([x, state], 1), []
        for place in range(blocks):
            x = dense(x, f"cell.F_R.RDBs.{place}")
            outputs.append(x)
        x = w.conv(w.conv(torch.cat(outputs, 1), "cell.F_R.conv1x1"), "cell.F_R.conv3x3")
        state = w.conv(dense(w.conv(x, "cell.F_h.0"), "cell.F_h.1"), "cell.F_h.2")
        features.append(x)
    for centre in range(2, len(features) - 2):
        parts = []
        for place in (centre - 2, centre - 1, centre + 1, centre + 2):
            pair = torch.cat([features[centre], features[place]], 1)
            mean = F.gelu(F.linear(pair.mean((2, 3)), w["fusion.F_f.0.weight"], w["fusion.F_f.0.bias"]))
            gate = torch.sigmoid(F.linear(mean, w["fusion.F_f.2.weight"], w["fusion.F_f.2.bias"]))[..., None, None]
            parts.append(w.conv(gate * w.conv(w.conv(pair, "fusion.F_p.0"), "fusion.F_p.1"), "fusion.condense"))
        x = w.conv(torch.cat([*parts, features[centre]], 1), "fusion.fusion")
        out.append(w.conv(w.up(w.up(x, "recons.model.0"), "recons.model.1"), "recons.model.2")[0])
    return torch.stack(out)


@pytest.mark.parametrize(("variant", "blocks"), [("B9C80", 9), ("B15C80", 15)])
def test_estrnn_restores_as_its_release_does(tmp_path, variant, blocks):
    torch.manual_seed(0)
    weights = estrnn_release(blocks)
    method, fit = imported(
        tmp_path, weights, lambda s: {"state_dict": {f"module.model.{k}": v for k, v in s.items()}}, "estrnn", variant
    )
    clip = torch.rand(6, 3, 16, 20)
    with torch.inference_mode():
        restored = list(method.restore(clip.unbind()))
        theirs = estrnn_forward(weights, clip.flip(1) - 0.5, blocks).flip(1) + 0.5
    assert (torch.stack(restored[2:-2]) - theirs).abs().max() < 5e-5 * theirs.abs().max()
    assert fit.origin == "official" and "BGR" in fit.note


# ---- DeepDeblur


def deepdeblur_release():
    w = Weights()
    for scale, inputs in ((0, 6), (1, 6), (2, 3)):
        w.add(f"body_models.{scale}.body.0", 64, inputs, 5, 5)
        for place in range(1, 20):
            for conv in (0, 2):
                w.add(f"body_models.{scale}.body.{place}.body.{conv}", 64, 64, 5, 5)
        w.add(f"body_models.{scale}.body.20", 3, 64, 5, 5)
    for scale in (1, 2):
        w.add(f"conv_end_models.{scale}.uppath.0", 12, 3, 5, 5)
    return Weights({name: tensor * (5 if name.endswith("bias") else 0.7) for name, tensor in w.items()})


def deepdeblur_forward(w, levels):
    """The release on a pyramid, fine to coarse, of frames in [-127.5, 127.5]: the finest restored frame."""
    x = levels[2]
    for scale in (2, 1, 0):
        x = w.conv(x, f"body_models.{scale}.body.0")
        for place in range(1, 20):
            name = f"body_models.{scale}.body.{place}.body"
            x = x + w.conv(F.relu(w.conv(x, f"{name}.0")), f"{name}.2")
        x = w.conv(x, f"body_models.{scale}.body.20")
        if scale:
            x = torch.cat([levels[scale - 1], F.pixel_shuffle(w.conv(x, f"conv_end_models.{scale}.uppath.0"), 2)], 1)
    return x


def test_deepdeblur_restores_as_its_release_does(tmp_path):
    torch.manual_seed(0)
    weights = deepdeblur_release()
    method, fit = imported(tmp_path, weights, lambda s: {"G": s, "D": {"a.weight": torch.ones(2)}}, "deepdeblur", "K3")
    module = plugin("methods", "deepdeblur").module("network")
    frame = torch.rand(3, 16, 24)
    with torch.inference_mode():
        levels = [level * 255 for level in module.pyramid(frame[None] - 0.5)][::-1]
        theirs = deepdeblur_forward(weights, levels)[0] / 255 + 0.5
        ours = method.restore_frame(frame)
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
    assert fit.choice.prefix == "G." and "255" in fit.note


# ---- DeblurGAN-v2

CHANNELS = {0: (3, 32), 1: (32, 16), 2: (16, 24), 3: (24, 24), 4: (24, 32), 5: (32, 32), 6: (32, 32), 7: (32, 64)}
CHANNELS |= {8: (64, 64), 9: (64, 64), 10: (64, 64), 11: (64, 96), 12: (96, 96), 13: (96, 96), 14: (96, 160)}
CHANNELS |= {15: (160, 160), 16: (160, 160), 17: (160, 320)}
STRIDES = {2: 2, 4: 2, 7: 2, 14: 2}


def norm(weights, name, channels):
    weights[f"{name}.weight"], weights[f"{name}.bias"] = 1 + torch.rand(channels), torch.randn(channels) * 0.1
    weights[f"{name}.running_mean"], weights[f"{name}.running_var"] = torch.randn(channels), torch.rand(channels) + 1


def deblurgan_release():
    w = Weights()
    w.add("fpn.features.0.0", 32, 3, 3, 3, bias=False)
    norm(w, "fpn.features.0.1", 32)
    for place, (inputs, outputs) in list(CHANNELS.items())[1:]:
        name, wide, at = f"fpn.features.{place}.conv", inputs if place == 1 else 6 * inputs, 0
        if place > 1:
            w.add(f"{name}.0", wide, inputs, 1, 1, bias=False)
            norm(w, f"{name}.1", wide)
            at = 3
        w.add(f"{name}.{at}", wide, 1, 3, 3, bias=False)
        norm(w, f"{name}.{at + 1}", wide)
        w.add(f"{name}.{at + 3}", outputs, wide, 1, 1, bias=False)
        norm(w, f"{name}.{at + 4}", outputs)
    for level, channels in ((4, 160), (3, 64), (2, 32), (1, 24), (0, 16)):
        w.add(f"fpn.lateral{level}", 128 if level else 64, channels, 1, 1, bias=False)
    for level in (1, 2, 3):
        w.add(f"fpn.td{level}.0", 128, 128, 3, 3)
        w[f"fpn.td{level}.1.running_mean"] = torch.zeros(128)
    for head in (1, 2, 3, 4):
        w.add(f"head{head}.block0", 64, 128, 3, 3, bias=False)
        w.add(f"head{head}.block1", 64, 64, 3, 3, bias=False)
    w.add("smooth.0", 64, 256, 3, 3)
    w.add("smooth2.0", 32, 64, 3, 3)
    w.add("final", 3, 32, 3, 3)
    return w | {name.replace("features.2.", "enc1.0."): t for name, t in w.items() if "features.2." in name}


def deblurgan_forward(w, frame):
    """The release on (1, 3, H, W) in [-1, 1], its normalisation layers in training mode."""
    w = Weights(w)

    def batch(x, name):
        return F.batch_norm(x, None, None, w[f"{name}.weight"], w[f"{name}.bias"], training=True)

    def residual(x, place):
        name, at, y = f"fpn.features.{place}.conv", 0, x
        if place > 1:
            y, at = F.relu6(batch(w.conv(y, f"{name}.0"), f"{name}.1")), 3
        y = w.conv(y, f"{name}.{at}", STRIDES.get(place, 1), y.shape[1])
        y = F.relu6(batch(y, f"{name}.{at + 1}"))
        y = batch(w.conv(y, f"{name}.{at + 3}"), f"{name}.{at + 4}")
        return x + y if y.shape == x.shape else y

    def up(x, factor=2):
        return F.interpolate(x, scale_factor=factor, mode="nearest")

    def smooth(x, name):
        return F.relu(F.instance_norm(w.conv(x, f"{name}.0")))

    x, features = F.relu6(batch(w.conv(frame, "fpn.features.0.0", 2), "fpn.features.0.1")), []
    for last, first in ((1, 1), (3, 2), (6, 4), (10, 7), (15, 11)):
        for place in range(first, last + 1):
            x = residual(x, place)
        features.append(x)
    sides = [w.conv(x, f"fpn.lateral{level}") for level, x in enumerate(features)]
    level4 = sides[4]
    level3 = smooth(sides[3] + up(level4), "fpn.td1")
    level2 = smooth(sides[2] + up(level3), "fpn.td2")
    level1 = smooth(sides[1] + up(level2), "fpn.td3")
    heads = []
    for head, level in ((4, level4), (3, level3), (2, level2), (1, level1)):
        x = F.relu(w.conv(F.relu(w.conv(level, f"head{head}.block0")), f"head{head}.block1"))
        heads.append(up(x, 2.0 ** (head - 1)))
    x = smooth(torch.cat(heads, 1), "smooth")
    x = up(smooth(up(x) + sides[0], "smooth2"))
    return torch.tanh(w.conv(x, "final")) + frame


def test_deblurganv2_restores_as_its_release_does(tmp_path):
    torch.manual_seed(0)
    weights = deblurgan_release()
    method, fit = imported(
        tmp_path,
        weights,
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        "deblurganv2",
        "mobilenet-release",
    )
    frame = torch.rand(3, 64, 96)
    with torch.inference_mode():
        theirs = (deblurgan_forward(weights, 2 * frame[None] - 1)[0] + 1) / 2
        ours = method.restore_frame(frame)
    assert (ours - theirs).abs().max() < 1e-4
    assert fit.origin == "official"


def test_a_release_that_computes_something_else_than_the_variant_is_refused(tmp_path):
    torch.save(dict(deblurgan_release()), tmp_path / "release.h5")
    with pytest.raises(UsageError, match=r"conventions: release.*They fit deblurganv2:mobilenet-release"):
        convert(plugin("methods", "deblurganv2"), "mobilenet", read_foreign(tmp_path / "release.h5"))
