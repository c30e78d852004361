"""The GPU's benchmark, on a CPU at toy sizes: that all of its parts come out; the figures mean nothing."""

import json

from benchmarks.gpu import main


def test_every_part_comes_out(tmp_path, capsys):
    main(["--device", "cpu", "--small", "--seconds", "0.01", "--output", str(tmp_path / "gpu.json")])
    told = json.loads((tmp_path / "gpu.json").read_text())
    assert told == json.loads(capsys.readouterr().out)
    assert told["ceiling"]["flop_per_s"] > 0
    assert [one["variant"] for one in told["training"]] == ["C1H1", "C2H3-reg"]
    assert all(0 < one["share_of_ceiling"] and one["frames_per_s"] > 0 for one in told["training"])
    assert told["agreement"][0]["difference"]["cpu fp32"] == 0
    (found,) = told["inference"]
    assert found["fps"] > 0 and found["precision"] == "fp32"
