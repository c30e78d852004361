"""Where LPIPS finds its weights, and what it says when they are missing, damaged, or something else."""

from __future__ import annotations

import hashlib
import io
import pickle
import urllib.error
import urllib.request

import pytest
import torch

from deblurbench.errors import MissingError, UsageError
from deblurbench.metrics import METRICS, lpips_weights
from deblurbench.metrics.lpips_trunks import TRUNKS


def random_trunk(name: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {key: torch.randn(shape) for key, shape in TRUNKS[name].shapes().items()}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("DEBLURBENCH_LPIPS", raising=False)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_the_folder_is_torchs_own(hub, monkeypatch):
    assert lpips_weights.hub_folder() == hub
    assert str(hub.parent) == torch.hub.get_dir()
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(lpips_weights.hub_folder().parent) == torch.hub.get_dir()


@pytest.mark.parametrize("name", TRUNKS)
def test_missing_weights_say_what_to_do(name, hub):
    with pytest.raises(MissingError, match=f"data fetch lpips-{name}") as caught:
        METRICS[f"lpips-{name}"].load()
    assert TRUNKS[name].file in str(caught.value)
    assert "DEBLURBENCH_LPIPS" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_path_that_is_not_there_is_not_passed_over(hub, monkeypatch):
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(hub / "nowhere.pth"))
    with pytest.raises(MissingError, match=r"nowhere\.pth: no such file"):
        METRICS["lpips-squeeze"].load()


def test_the_users_file_serves_its_own_network_only(hub, monkeypatch):
    file = hub / "mine.pt"
    torch.save(random_trunk("squeeze"), file)
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(file))
    METRICS["lpips-squeeze"].load()
    with pytest.raises(MissingError, match=r"mine\.pt holds none"):
        METRICS["lpips-alex"].load()


def test_a_trunk_in_torchs_folder_is_found_and_its_digest_checked(hub):
    file = hub / TRUNKS["squeeze"].file
    torch.save(random_trunk("squeeze"), file)
    with pytest.raises(MissingError, match="damaged"):
        METRICS["lpips-squeeze"].load()


def test_heads_come_from_the_package_and_a_complete_file_keeps_its_own(hub, monkeypatch):
    file = hub / "squeeze.pt"
    state = random_trunk("squeeze")
    torch.save(state, file)
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(file))
    shipped = lpips_weights.load_state("squeeze")["lin0.model.1.weight"]
    own = {f"lin{i}.model.1.weight": torch.full((1, c, 1, 1), 0.5) for i, c in enumerate(TRUNKS["squeeze"].channels)}
    torch.save({f"net.slice9.{k.removeprefix('features.')}": v for k, v in state.items()} | own, file)
    loaded = lpips_weights.load_state("squeeze")
    assert (loaded["lin0.model.1.weight"] == 0.5).all() and not (shipped == 0.5).all()
    assert loaded["features.0.weight"].equal(state["features.0.weight"])


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


BAD = {
    "empty": b"",
    "page": b"<!DOCTYPE html><html>not found</html>",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
    "noise": b"\x00\x01noise" * 50,
    "code": pickle.dumps({"features.0.weight": Evil()}),
}


@pytest.mark.parametrize("kind", BAD)
def test_files_that_are_not_weights_are_refused_unopened(kind, hub, monkeypatch, capsys):
    file = hub / "alex.pth"
    file.write_bytes(BAD[kind])
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(file))
    with pytest.raises(MissingError, match=r"alex\.pth"):
        METRICS["lpips-alex"].load()
    assert "code ran" not in capsys.readouterr().out


def test_a_cut_file_is_refused(hub, monkeypatch):
    file = hub / "squeeze.pth"
    torch.save(random_trunk("squeeze"), file)
    file.write_bytes(file.read_bytes()[:-5000])
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(file))
    with pytest.raises(MissingError, match=r"squeeze\.pth"):
        METRICS["lpips-squeeze"].load()


@pytest.fixture
def server(monkeypatch):
    """Answers every download with the bytes put into it, or raises what was put."""
    answer: dict[str, object] = {}

    def urlopen(address, timeout):
        answer["address"] = address
        if isinstance(answer["bytes"], Exception):
            raise answer["bytes"]
        return io.BytesIO(answer["bytes"])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return answer


def test_fetch_puts_a_checked_file_where_torch_looks(hub, server, monkeypatch):
    server["bytes"] = b"the published bytes"
    digits = hashlib.sha256(server["bytes"]).hexdigest()[:8]
    trunk = TRUNKS["alex"]
    monkeypatch.setitem(
        TRUNKS, "alex", type(trunk)(trunk.title, f"alexnet-owt-{digits}.pth", trunk.slices, trunk.channels, 31)
    )
    assert lpips_weights.fetch("lpips-alex") == hub / f"alexnet-owt-{digits}.pth"
    assert server["address"] == f"https://download.pytorch.org/models/alexnet-owt-{digits}.pth"
    assert (hub / f"alexnet-owt-{digits}.pth").read_bytes() == server["bytes"]
    server["bytes"] = OSError("not asked again")
    lpips_weights.fetch("lpips-alex")


@pytest.mark.parametrize(
    "answer", [b"<html>captive portal</html>", urllib.error.URLError("no network"), TimeoutError("slow")]
)
def test_fetch_offline_or_refused_leaves_nothing_behind(answer, hub, server):
    server["bytes"] = answer
    with pytest.raises(MissingError, match=r"alexnet-owt-7be5be79\.pth"):
        lpips_weights.fetch("lpips-alex")
    assert list(hub.iterdir()) == []


def test_fetch_of_another_name(hub):
    with pytest.raises(UsageError, match="Did you mean 'lpips-alex'"):
        lpips_weights.fetch("lpips-alexnet")
