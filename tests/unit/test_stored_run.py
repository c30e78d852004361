"""A stored run, read: values by method and metric, times, pictures, and which runs may be compared."""

import pytest

from deblurbench.errors import UsageError
from deblurbench.results.comparable import comparability
from deblurbench.results.run import Run
from tests import fake_run
from tests.fake_run import Fake


@pytest.fixture
def run(tmp_path) -> Run:
    return fake_run.write(tmp_path / "run", Fake(pictures=True, size=(24, 16)))


def test_values_are_the_rows_of_scores_csv(run):
    values = run.values("srn:rgb", "psnr")
    rows = run.scores[(run.scores["method"] == "srn:rgb") & (run.scores["metric"] == "psnr")]
    assert values.to_list() == rows["value"].to_list() and len(values)
    assert list(values.index) == list(zip(rows["clip"], rows["frame"], strict=True))
    assert values.index.names == ["clip", "frame"] and values.dtype == float
    by_clip = run.values_by_clip("srn:rgb", "psnr")
    assert {clip: list(series) for clip, series in by_clip.items()} == {
        clip: list(part) for clip, part in values.groupby(level="clip", sort=False)
    }


def test_unknown_names_get_the_nearest(run):
    with pytest.raises(UsageError, match=r"no method 'srn:rbg' in this run.*srn:rgb"):
        run.values("srn:rbg", "psnr")
    with pytest.raises(UsageError, match=r"no metric 'psn' in this run.*psnr"):
        run.values("srn:rgb", "psn")
    assert run.values_by_clip("nobody", "psnr") == {}


def test_a_clip_that_failed_has_no_values(tmp_path):
    run = fake_run.write(tmp_path / "run", Fake(failed={"srn:rgb": "clip-02"}))
    assert "clip-02" not in run.values_by_clip("srn:rgb", "psnr")
    assert "clip-02" not in run.values("srn:rgb", "psnr").index.get_level_values("clip")


def test_a_metric_without_values_gives_an_empty_series(tmp_path):
    run = fake_run.write(tmp_path / "run", Fake(absent={"lpips-alex": "no weights"}))
    values = run.values("srn:rgb", "lpips-alex")
    assert values.empty and values.index.names == ["clip", "frame"] and values.dtype == float


def test_times_leave_out_the_warm_up(run):
    timings = run.timings[run.timings["method"] == "srn:rgb"]
    assert timings["warmup"].any()
    assert run.seconds("srn:rgb").sum() == pytest.approx(timings[~timings["warmup"]]["seconds"].sum())
    assert run.seconds("nobody").empty


def test_pictures_by_stem(run):
    clip = run.manifest.clips[0].name
    assert list(run.frames("srn:rgb", clip)) == sorted(run.ground_truth_frames(clip))
    assert run.frames("srn:rgb", "no such clip") == {}


def test_the_rule_of_comparability(run):
    one = run.manifest
    assert comparability(one, one).means == comparability(one, one).pairs == ""
    fewer = one.model_copy(update={"clips": one.clips[:1]})
    assert "they score different frames" in comparability(one, fewer).means
    assert comparability(one, fewer).pairs == ""
    newer = [m.model_copy(update={"version": m.version + 1}) if m.id == "psnr" else m for m in one.metrics]
    rule = comparability(one, one.model_copy(update={"metrics": newer}))
    assert "metric psnr has version" in rule.means and rule.means == rule.pairs
    assert (rule.mark("psnr"), rule.mark("ssim")) == ("other metric version", "")
    absent = [m.model_copy(update={"absent": "no weights"}) if m.id == "psnr" else m for m in newer]
    assert comparability(one, one.model_copy(update={"metrics": absent})).means == ""
    other = comparability(one, one.model_copy(update={"protocol_digest": "0" * 64}))
    assert other.means.startswith("protocol mini v1") and other.mark("psnr") == "other protocol"
