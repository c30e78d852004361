"""Any torch module by a card alone: called as its needs say, its checkpoint loaded strictly, nothing in it run."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deblurbench.backends.load import MethodJob, load_method
from deblurbench.errors import CardError, ContractError, MissingError, UsageError
from deblurbench.evaluation.plan import PlannedMethod, plan_method
from deblurbench.methods.adapter import Foreign
from deblurbench.provenance import package_digest
from deblurbench.registry.cards import Needs
from tests.foreign_nets import MODULE, as_8bit, clip, restore

WEIGHTS = {"factor": torch.tensor(0.5), "shift": torch.tensor([0.1, 0.0, -0.1])}


@pytest.fixture
def card(tmp_path, request):
    """Writes a package, a folder with a card alone, and a checkpoint; returns the folder."""
    package = f"nets{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / "src" / package).mkdir(parents=True)
    (tmp_path / "src" / package / "__init__.py").write_text("")
    (tmp_path / "src" / package / "net.py").write_text(MODULE)
    folder = tmp_path / "mynet"
    folder.mkdir()
    torch.save({"params": {f"module.{key}": value for key, value in WEIGHTS.items()}}, folder / "net.pth")

    def write(text: str = "", name: str = "Net", weights: str = "weights: net.pth\n"):
        network = f"name: mynet\ntitle: My net\nnetwork: {package}.net:{name}\npath: ../src\n"
        (folder / "card.yaml").write_text(network + weights + text)
        return folder

    return write


def ready(planned: PlannedMethod, random: bool = False):
    job = MethodJob(
        id=planned.id, name=planned.plugin.reference, variant=planned.variant,
        weights=str(planned.weights.file) if planned.weights else None, output="", dataset="", data_root=None, split="",
        metrics=[], device="cpu", precision="fp32", tile=None, seed=0, random_weights=random,
    )  # fmt: skip
    return load_method(job, "cpu")[0]


def test_a_card_alone_restores_with_its_checkpoint(card):
    planned = plan_method(str(card()))
    assert (planned.id, planned.weights.tag, planned.record().source) == ("mynet", "net", str(card()))
    frames = clip()
    expected = [as_8bit(frame / 255 * 0.5 + np.array([0.1, 0, -0.1])) for frame in frames]
    found = restore(ready(planned), frames)
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(found, expected, strict=True))


def test_range_and_colours_are_those_of_the_network(card):
    """In [-0.5, 0.5] and BGR the shift goes to the other colours, and the factor scales around grey."""
    frames = clip()
    found = restore(ready(plan_method(str(card("needs: {range: [-0.5, 0.5], colours: bgr}\n")))), frames)
    expected = [as_8bit((frame / 255 - 0.5) * 0.5 + 0.5 + np.array([-0.1, 0, 0.1])) for frame in frames]
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(found, expected, strict=True))
    scaled = restore(ready(plan_method(str(card("needs: {range: [0, 255]}\n")))), frames)
    expected = [as_8bit((frame * 0.5 + np.array([0.1, 0, -0.1])) / 255) for frame in frames]
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(scaled, expected, strict=True))


@pytest.mark.parametrize("stack", ["frames", "channels"])
def test_a_window_is_stacked_as_the_card_says(card, stack):
    text = f"needs: {{window: 1, causal: false, stack: {stack}}}\nvariants: {{three: {{parameters: {{frames: 3}}}}}}\n"
    frames = clip(4)
    found = restore(ready(plan_method(str(card(text)))), frames)
    ends = [frames[0], *frames, frames[-1]]
    shift = np.array([0.1, 0, -0.1])
    for t, frame in enumerate(found):
        expected = as_8bit(np.mean([f / 255.0 for f in ends[t : t + 3]], axis=0) * 0.5 + shift)
        assert np.abs(frame.astype(int) - expected).max() <= 1


def test_a_recurrent_network_keeps_its_state_within_a_clip(card):
    frames = clip(3)
    method = ready(plan_method(str(card("needs: {form: recurrent}\n", "Recurrent"))))
    found = restore(method, frames)
    state = None
    for frame, mine in zip(frames, found, strict=True):
        state = frame / 255 if state is None else (frame / 255 + state) / 2
        assert np.abs(mine.astype(int) - as_8bit(state * 0.5)).max() <= 1
    assert all(np.array_equal(a, b) for a, b in zip(restore(method, frames), found, strict=True))


def test_one_size_only_means_tiles_and_padding(card):
    """A network that acts on each value by itself comes out the same in tiles, larger and smaller than the frame."""
    frames = clip(2)
    whole = restore(ready(plan_method(str(card()))), frames)
    for size in ("[32, 24]", "[96, 30]", "[200, 100]"):
        method = ready(plan_method(str(card(f"needs: {{size: {size}}}\n"))))
        tiled = restore(method, frames)
        assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(tiled, whole, strict=True)), size


def test_one_of_several_outputs_is_chosen(card):
    frames, variants = clip(1), "variants: {three: {parameters: {outputs: 3}}}\n"
    with pytest.raises(ContractError, match=r"returns 3 outputs, 0: \(1, 3, 40, 56\).*needs: \{output: 0\}"):
        restore(ready(plan_method(str(card(variants)))), frames)
    first, second = (
        restore(ready(plan_method(str(card(f"{variants}needs: {{output: {i}}}\n")))), frames)[0] for i in (0, 1)
    )
    assert np.abs(second.astype(int) - np.minimum(2 * first.astype(int), 255)).max() <= 2
    with pytest.raises(ContractError, match=r"needs\.output is 7"):
        restore(ready(plan_method(str(card(f"{variants}needs: {{output: 7}}\n")))), frames)


def test_another_size_is_told(card):
    with pytest.raises(
        ContractError, match=r"returns \(1, 3, 80, 112\) for frames of 56x40, expected \(1, 3, 40, 56\)"
    ):
        restore(ready(plan_method(str(card(name="Twice")))), clip(1))


@pytest.mark.parametrize(
    "nested",
    [lambda w: w, lambda w: {"state_dict": w}, lambda w: {"params_ema": w, "params": {}}, lambda w: {"params": w}],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_as_they_are_found(card, nested, prefix):
    folder = card()
    torch.save(nested({prefix + key: value for key, value in WEIGHTS.items()}), folder / "net.pth")
    assert float(ready(plan_method(str(folder))).network.factor) == 0.5


def test_weights_may_be_named_behind_the_card(card, tmp_path):
    from safetensors.torch import save_file

    save_file({**WEIGHTS, "factor": torch.tensor(0.25)}, tmp_path / "other.safetensors")
    planned = plan_method(f"{card()}@{tmp_path / 'other.safetensors'}")
    assert planned.id == "mynet@other" and float(ready(planned).network.factor) == 0.25
    with pytest.raises(MissingError, match=r"random weights are not scored.*weights: net\.pth"):
        plan_method(str(card(weights="")))


class Evil:
    def __reduce__(self):
        return (print, ("run!",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps({"factor": Evil()}), "no readable PyTorch checkpoint|can run code"),
        (b"<!doctype html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"", "empty"),
        (b"PK\x03\x04 cut short", "damaged or cut short"),
    ],
)
def test_files_that_are_no_weights_are_refused(card, content, said, capsys):
    folder = card()
    (folder / "net.pth").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        ready(plan_method(str(folder)))
    assert "run!" not in capsys.readouterr().out


def test_a_pickle_with_code_in_a_checkpoint_is_refused(card, capsys):
    folder = card()
    torch.save({"state_dict": WEIGHTS, "options": Evil()}, folder / "net.pth")
    with pytest.raises(UsageError, match="can run code when it is opened, so it was not"):
        ready(plan_method(str(folder)))
    assert "run!" not in capsys.readouterr().out


def test_another_networks_checkpoint_is_refused(card):
    folder = card()
    torch.save({"factor": torch.tensor(0.5), "other": torch.zeros(2)}, folder / "net.pth")
    with pytest.raises(UsageError, match=r"not the weights of Net.*missing shift; unexpected other"):
        ready(plan_method(str(folder)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Absent", "no 'Absent' in that module"),
        ("Broken", "fails: RuntimeError: no GPU of mine"),
        ("nothing", "makes a str, expected a torch.nn.Module"),
    ],
)
def test_what_makes_no_network_is_told(card, name, said):
    with pytest.raises(CardError, match=rf"card\.yaml: network: nets\d+\.net:{name}.*{said}"):
        ready(plan_method(str(card(name=name))))


def test_a_missing_package_is_named_with_what_installs_it(card):
    folder = card()
    text = (folder / "card.yaml").read_text()
    (folder / "card.yaml").write_text(text.replace("path: ../src\n", ""))
    with pytest.raises(MissingError, match=r"from the package 'nets\d+', which is not found here.*pip install nets\d+"):
        plan_method(str(folder))
    (folder / "card.yaml").write_text(text.replace("path: ../src\n", "path: ../nowhere\ninstall: git clone it\n"))
    with pytest.raises(MissingError, match=r"nowhere, nor installed.*Install it: git clone it"):
        plan_method(str(folder))


def test_a_package_of_the_same_name_is_not_taken_for_it(card, tmp_path):
    """`yaml` is imported already, from elsewhere than the card's `path`."""
    folder = card()
    (tmp_path / "src" / "yaml").mkdir()
    (tmp_path / "src" / "yaml" / "__init__.py").write_text(MODULE)
    (folder / "card.yaml").write_text("name: mynet\ntitle: x\nnetwork: yaml:Net\npath: ../src\nweights: net.pth\n")
    with pytest.raises(UsageError, match="two packages are called the same"):
        ready(plan_method(str(folder)))


def test_the_packages_code_decides_the_digest(card, tmp_path):
    planned = plan_method(str(card()))
    before = planned.record().code_sha256
    net = next(tmp_path.glob("src/*/net.py"))
    net.write_text(MODULE.replace("mean(1)", "sum(1)"))
    package_digest.cache_clear()
    assert plan_method(str(card())).record().code_sha256 != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("entry: method:A\n", "either `entry`"),
        ("needs: {range: [1, 0]}\n", "black must be below white"),
        ("needs: {form: window}\n", "form: window needs `window`"),
        ("needs: {colours: grey}\n", "needs.colours"),
        ("needs: {size: [0, 4]}\n", "size"),
    ],
)
def test_cards_that_contradict_themselves_are_refused(card, text, said):
    with pytest.raises(CardError, match=f"(?s)mynet/card.yaml.*{said}"):
        plan_method(str(card(text)))


def test_random_weights_of_a_files_own_network_are_refused(tmp_path):
    file = tmp_path / "learned.py"
    code = (
        "import torch\nfrom deblurbench.methods.base import FrameMethod\n"
        "class Learned(FrameMethod):\n    def __init__(self):\n        self.network = torch.nn.Conv2d(3, 3, 1)\n{}"
        "    def restore_frame(self, frame):\n        return self.network(frame[None])[0]\n"
    )
    file.write_text(code.format(""))
    with pytest.raises(MissingError, match=r"learned: its network has random weights.*learned\.py@FILE"):
        ready(plan_method(str(file)))
    assert ready(plan_method(str(file)), random=True).network is not None
    file.with_name("loads.py").write_text(code.format("        torch.nn.init.dirac_(self.network.weight)\n"
                                                      "        torch.nn.init.zeros_(self.network.bias)\n"))  # fmt: skip
    frames = clip(1)
    found = restore(ready(plan_method(str(file.with_name("loads.py")))), frames)
    assert np.array_equal(found[0], frames[0])


class Called(Foreign):
    """A network given as a function."""

    def __init__(self, call, **needs):
        super().__init__(Needs(**needs))
        self.call = call


def pooled(x):
    return F.interpolate(F.avg_pool2d(x, 4), scale_factor=4.0)


def adding(x):
    return x + F.interpolate(F.avg_pool2d(x, 8), scale_factor=8.0)


@pytest.mark.parametrize(("network", "multiple"), [(pooled, 4), (adding, 8), (lambda x: [pooled(x), x[..., :3]], 4)])
def test_sides_that_a_network_refuses_lead_to_multiple_of(network, multiple):
    frame = torch.rand(3, 34, 43)
    with pytest.raises(ContractError, match=rf"43x34.*needs: \{{multiple_of: {multiple}\}}"):
        next(Called(network).restore([frame]))
    assert next(Called(network).restore([torch.rand(3, 32, 40)])).shape == (3, 32, 40)


def test_other_errors_of_a_network_stay_as_they_are():
    def broken(x):
        raise RuntimeError("CUDA out of memory" if x.shape[-1] == 43 else "no such thing")

    with pytest.raises(RuntimeError, match="out of memory"):
        next(Called(broken).restore([torch.rand(3, 34, 43)]))
    with pytest.raises(RuntimeError, match="no such thing"):
        next(Called(broken).restore([torch.rand(3, 34, 44)]))


def test_of_several_outputs_the_one_of_the_frames_size_is_taken():
    def pyramid(x):
        return F.avg_pool2d(x, 4), F.avg_pool2d(x, 2), x

    frame = torch.rand(3, 32, 40)
    assert torch.equal(next(Called(pyramid).restore([frame])), frame)
    with pytest.raises(ContractError, match=r"2 outputs.*needs: \{output: 0\}"):
        next(Called(lambda x: (x, x)).restore([frame]))
    with pytest.raises(ContractError, match=r"needs\.output is 'fine'.*needs: \{output: sharp\}"):
        next(Called(lambda x: {"coarse": x[..., :4], "sharp": x}, output="fine").restore([frame]))
