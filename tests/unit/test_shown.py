"""Which pictures and videos a report holds: by the rule, within the budget, and told in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from deblurbench.reports.gallery import pictures, playback, shown
from deblurbench.reports.gallery.shown import GROUND_TRUTH

from deblurbench import tables
from deblurbench.reports.base import MEGABYTE, Options
from deblurbench.results import frame_choice
from deblurbench.results.manifest import Choice
from deblurbench.results.run import Run
from tests import fake_run
from tests.fake_run import Fake

TINY = {"size": (96, 64), "pictures": True, "clips": ("clip-01", "clip-02")}


def picked(run: Run, gallery: str = "sample", budget: int = 50 * MEGABYTE) -> shown.Picked:
    return shown.pick(tables.build([run]), Options(gallery), budget)  # type: ignore[arg-type]


def stems(found: shown.Picked) -> dict[str, set[str]]:
    frames: dict[str, set[str]] = {}
    for wave in found.waves:
        for clip, stem in wave:
            frames.setdefault(clip, set()).add(stem)
    return frames


def test_of_every_frame_kept_the_rule_takes_worst_median_best_and_a_stride(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path, Fake(every=True, **TINY))
    found = picked(run)
    for clip in run.manifest.clips:
        scores = run.scores
        mine = scores[(scores["clip"] == clip.name) & (scores["metric"] == "psnr") & (scores["method"] != "identity")]
        ranked = list(mine.groupby("frame")["value"].mean().sort_values(kind="stable").index)
        expected = {ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1], *frame_choice.strided(clip.scored)}
        assert stems(found)[clip.name] == expected
        assert found.waves[0][list(stems(found)).index(clip.name)][1] == ranked[(len(ranked) - 1) // 2]
    told = found.rule({name: sorted(frames) for name, frames in stems(found).items()})
    assert "the worst, median and best frames by the mean PSNR of srn:rgb and ifirnn:C2H3," in told
    assert "ranked among its scored frames" in told and "at 1/6, 1/2 and 5/6" in told


def test_the_choice_of_the_run_is_shown_as_it_was_made(tmp_path: Path) -> None:
    choice = Choice(
        frames={"000006": ["worst", "stride"], "000008": ["stride"], "000010": ["best", "stride"]},
        ranked_by=["srn:rgb"], metric="psnr", candidates=5, of=7,
    )  # fmt: skip
    run = fake_run.write(tmp_path, Fake(**TINY))
    for clip in run.manifest.clips:
        clip.choice = choice
    found = picked(run)
    assert stems(found) == {name: {"000006", "000008", "000010"} for name in ("clip-01", "clip-02")}
    told = found.rule({"clip-01": ["000006", "000008", "000010"]})
    assert "by the mean PSNR of srn:rgb," in told and "5 or more candidates spread evenly" in told


def test_all_shows_every_frame_kept_and_says_so(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path, Fake(every=True, **TINY))
    found = picked(run, "all")
    assert stems(found)["clip-01"] == set(run.manifest.clips[0].frames)
    assert found.rule(stems(found)).startswith("Not hand-picked: of every clip every frame that was kept, among them")


def collected(run: Run, folder: Path, budget: int, gallery: str = "sample") -> pictures.Gallery:
    return pictures.collect(tables.build([run]), folder, Options(gallery, budget), budget)  # type: ignore[arg-type]


def test_a_tight_budget_takes_frames_then_methods_then_clips_and_says_which(tmp_path: Path) -> None:
    methods = {"identity": 1.0, **{f"m{n:02d}": 0.3 + n / 50 for n in range(6)}}
    run = fake_run.write(tmp_path / "run", Fake(methods=methods, **TINY))
    whole = collected(run, tmp_path / "whole", 50 * MEGABYTE)
    assert whole.left_out == "" and len(whole.moments["clip-01"]) == 3 and len(whole.labels) == 8
    assert whole.size == sum(f.stat().st_size for f in (tmp_path / "whole/images").rglob("*.webp"))

    fewer = collected(run, tmp_path / "fewer", whole.size // 2)
    assert [len(found) for found in fewer.moments.values()] == [1, 1] and len(fewer.labels) == 8
    assert "1 of 3 frames a clip" in fewer.left_out and "--budget" in fewer.left_out

    best = collected(run, tmp_path / "best", whole.size // 5)
    assert set(best.moments) == {"clip-01", "clip-02"} and "identity" in best.labels and GROUND_TRUTH in best.labels
    kept = [label for label in best.labels if label.startswith("m")]
    assert kept == [f"m{n:02d}" for n in range(len(kept))] and 0 < len(kept) < 6  # m00 leaves the least blur
    assert f"the best {len(kept)} of 6 methods" in best.left_out

    one = collected(run, tmp_path / "one", whole.size // 11)
    assert len(one.moments) == 1 and "1 of 2 clips" in one.left_out
    for gallery, limit in ((fewer, 2), (best, 5), (one, 11)):
        assert gallery.size <= whole.size // limit


def test_nothing_fits_a_budget_of_nothing(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(**TINY))
    none = collected(run, tmp_path / "none", 10)
    assert none.moments == {} and none.size == 0


def films(run: Run, folder: Path, budget: int = 50 * MEGABYTE) -> playback.Playback:
    table = tables.build([run])
    found = playback.sequences(table)
    labels = [*[row.label for row in table.rows], GROUND_TRUTH]
    return playback.collect(table, found, labels, folder, budget, lambda *_: None)


def decoded(file: Path) -> list:
    import av

    with av.open(str(file)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_excerpts_hold_every_pixel_and_are_the_same_bytes_again(tmp_path: Path) -> None:
    import numpy as np

    from deblurbench.frames.images import read_frame

    run = fake_run.write(tmp_path / "run", Fake(every=True, frames=14, size=(95, 63), pictures=True, clips=("a b/ü",)))
    found = films(run, tmp_path / "one")
    assert [f.exact for f in found.films] == [True] and "every pixel" in found.rule
    film = found.films[0]
    assert film.frames == tuple(run.manifest.clips[0].frames) and film.of == 14
    assert [track.kind for track in film.tracks] == ["input", "method", "method", "truth"]
    for track, method in zip(film.tracks, ["identity", "ifirnn:C2H3", "srn:rgb"], strict=False):
        frames = decoded(tmp_path / "one" / track.file)
        saved = run.frames(method, "a b/ü")
        assert all(np.array_equal(f, read_frame(saved[s])) for f, s in zip(frames, film.frames, strict=True))
    again = films(run, tmp_path / "two")
    assert again == found
    for name in found.files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_without_room_for_all_pixels_the_excerpt_is_shorter_then_a_preview(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(every=True, frames=40, size=(96, 64), pictures=True, clips=("one",)))
    whole = films(run, tmp_path / "whole")
    assert len(whole.films[0].frames) == 40 and "Whole clips" in whole.rule
    size = sum((tmp_path / "whole" / name).stat().st_size for name in whole.files)
    shorter = films(run, tmp_path / "shorter", size * 2 // 3)
    assert shorter.films[0].exact and playback.SHORTEST <= len(shorter.films[0].frames) < 40
    first = int(shorter.films[0].frames[0])
    assert first - 1 == (40 - len(shorter.films[0].frames)) // 2  # around the middle
    small = films(run, tmp_path / "small", size // 8)
    assert not small.films[0].exact and "previews are encoded with loss" in small.rule
    for found, folder, limit in ((shorter, "shorter", size * 2 // 3), (small, "small", size // 8)):
        assert sum((tmp_path / folder / name).stat().st_size for name in found.files) <= limit
    assert len(decoded(tmp_path / "small" / small.films[0].tracks[0].file)) == len(small.films[0].frames)


@pytest.mark.parametrize("changes", [{"every": False}, {"pictures": False}])
def test_single_frames_are_no_sequence(tmp_path: Path, changes: dict[str, bool]) -> None:
    run = fake_run.write(tmp_path, Fake(**{**TINY, "every": True, **changes}))
    assert playback.sequences(tables.build([run])) == []


def test_a_damaged_frame_is_told_and_other_clips_play(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path / "run", Fake(every=True, **TINY))
    run.frames("srn:rgb", "clip-01")["000004"].write_bytes(b"")
    found = films(run, tmp_path / "report")
    assert [film.clip for film in found.films] == ["clip-02"]
    assert "000004.png: the file is empty" in found.missing[0]


def test_frames_of_another_size_are_told(tmp_path: Path) -> None:
    import numpy as np

    from deblurbench.frames.images import write_png

    run = fake_run.write(tmp_path / "run", Fake(every=True, **TINY))
    write_png(run.frames("srn:rgb", "clip-02")["000004"], np.zeros((10, 10, 3), np.uint8))
    assert "10x10, the others 96x64" in films(run, tmp_path / "report").missing[0]
