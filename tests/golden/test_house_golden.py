"""The command line gives what it gave when tests/golden/house_*.json were written: scores, report, shapes of JSON.

On the same processor and packages, with one thread, everything is equal. Elsewhere kernels sum in another order, and a
restored value may round the other way. Measured with other instruction sets (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA,
NUMBA_CPU_NAME) and with two threads: frames of identity and unsharp stay the same, and so does their PSNR; SSIM, which
sums in single precision, moves by 5e-8; a frame that a network restored moves by 3e-5 dB and 3e-6 of SSIM.
"""

from __future__ import annotations

import re

import pytest

from tests.golden import house

EXACT = {"identity", "unsharp:mild"}
"""Methods whose restored frames do not depend on the processor."""
SAME = 1e-9
ELSEWHERE = {"psnr": 1e-3, "ssim": 1e-5}
ROUNDING = {"psnr": 1e-9, "ssim": 1e-6}
"""What metrics of equal frames may differ by between processors."""
DECIMAL = re.compile(r"(\d+\.\d+)")
CHANGED = "weights of {} changed: regenerate with python -m tests.golden.house"

SCENES = [
    pytest.param("quick", id="quick"),
    pytest.param("whole", id="whole", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
]


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    return house.command_line(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def same_machine(cli):
    return house.golden("scores")["machine"] == house.machine(cli)


@pytest.fixture(scope="module")
def runs(cli):
    """The scenes' runs; each is made when it is first asked for."""

    class Runs(dict):
        def __missing__(self, name):
            self[name] = house.make_run(cli, house.SCENES[name])
            return self[name]

    return Runs()


def fail_for_new_weights(run):
    expected = house.golden("scores")["methods"]
    changed = [
        id for id, digest in house.weights(run).items() if digest != expected.get(id, {}).get("weights_sha256", "")
    ]
    if changed:
        pytest.fail(CHANGED.format(", ".join(changed)), pytrace=False)


@pytest.mark.parametrize("scene", SCENES)
def test_methods_without_weights_score_the_same(runs, scene, same_machine):
    compare_scores(runs[scene], same_machine, lambda digest: digest is None)


@pytest.mark.parametrize("scene", SCENES)
def test_networks_score_the_same(runs, scene, same_machine):
    fail_for_new_weights(runs[scene])
    compare_scores(runs[scene], same_machine, lambda digest: digest is not None)


def compare_scores(run, same_machine, chosen):
    """`chosen` takes a method's digest of weights, which is None where it needs none."""
    expected = house.golden("scores")["methods"]
    scores = {id: entry for id, entry in house.scores(run).items() if chosen(entry["weights_sha256"])}
    assert scores
    for id, entry in scores.items():
        tolerances = ROUNDING if id in EXACT else ELSEWHERE
        for clip, means in entry["means"].items():
            assert set(means) == set(tolerances), (id, clip)
            for metric, mean in means.items():
                tolerance = SAME if same_machine else tolerances[metric]
                assert mean == pytest.approx(expected[id]["means"][clip][metric], abs=tolerance, rel=0), (id, clip)
            if same_machine or id in EXACT:
                assert entry["frames_sha256"][clip] == expected[id]["frames_sha256"][clip], (id, clip)


@pytest.mark.parametrize("scene", SCENES)
def test_the_report_says_the_same(cli, runs, scene, same_machine):
    fail_for_new_weights(runs[scene])
    files, expected = house.report(cli, runs[scene]), house.golden("report")[scene]
    assert list(files) == list(expected)
    for name, lines in files.items():
        if same_machine:
            assert lines == expected[name], name
        else:
            compare_lines(lines, expected[name], name)


def compare_lines(lines, expected, name):
    """The words equal, decimal numbers within what another processor may change, or one unit of their last place."""
    assert len(lines) == len(expected), name
    for line, golden_line in zip(lines, expected, strict=True):
        parts, golden_parts = DECIMAL.split(line), DECIMAL.split(golden_line)
        assert parts[::2] == golden_parts[::2], name
        for number, golden_number in zip(parts[1::2], golden_parts[1::2], strict=True):
            places = len(golden_number.partition(".")[2])
            tolerance = max(2e-3, 1.01 * 10**-places)
            assert float(number) == pytest.approx(float(golden_number), abs=tolerance, rel=0), (name, golden_line)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "reproduce" else ()) for name in house.COMMANDS]
)
def test_json_has_the_same_keys_and_types(cli, runs, name):
    if any(word.startswith("quick") for word in house.COMMANDS[name][0]):
        assert runs["quick"].is_dir()
    assert house.printed_shape(cli, name) == house.golden("shapes")[name]
