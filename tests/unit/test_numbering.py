"""Numbers in the names of frames: counters, time stamps, and gaps."""

import pytest

from deblurbench.datasets.numbering import numbering_gaps


def stamps(rate, unit, count=40, width=6):
    return [f"{round(n * unit / rate):0{width}d}" for n in range(count)]


@pytest.mark.parametrize("rate", [24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60, 120, 240])
@pytest.mark.parametrize(("unit", "width"), [(1000, 6), (10**6, 12), (10**9, 19)], ids=["ms", "us", "ns"])
def test_time_stamps_have_no_gap_and_a_missing_frame_is_one(rate, unit, width):
    names = stamps(rate, unit, width=width)
    assert numbering_gaps(names) == []
    if unit / rate < 5:
        return  # four milliseconds, rounded, hardly tell
    for lost in (5, 21):
        (fault,) = numbering_gaps(names[:lost] + names[lost + 1 :])
        shown = fault.split(": ")[1].split(" missing")[0]
        assert abs(int(shown) - int(names[lost])) <= 1


@pytest.mark.parametrize(
    "names",
    [
        ["1305031102.175304", "1305031102.211214", "1305031102.243211", "1305031102.275326", "1305031103.011100"],
        ["20240131_235959_900", "20240131_235959_933", "20240131_235959_967", "20240201_000000_000"],
        ["IMG_1", "IMG_3", "IMG_5", "IMG_7"],
        ["0", "10", "20", "39", "49", "59"],
        ["3", "17", "90", "91"],
        ["a", "b", "c"],
        ["7"],
        [],
    ],
)
def test_no_gap(names):
    assert numbering_gaps(names[:4] if names and "." in names[0] else names) == []


@pytest.mark.parametrize(
    ("names", "step", "said"),
    [
        (["000001", "000002", "000005", "000006", "000007"], None, "000003, 000004 missing"),
        (["f1", "f2", "f4"], 1, "f3 missing"),
        (["0", "10", "20", "40", "50"], None, "30 missing"),
        (["10.100000", "10.133333", "10.166667", "10.233333", "10.266667"], None, "10.200000 missing"),
        (["cam1_1", "cam1_2", "cam2_1", "cam2_2"], None, "'cam2_1' does not count on"),
        (["a1", "b1", "b2"], None, "'b1' does not count on"),
    ],
)
def test_a_gap_is_named(names, step, said):
    (fault,) = numbering_gaps(names, step)
    assert said in fault
