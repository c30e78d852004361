"""Numbers move only with the version that results declare for them."""

from __future__ import annotations

import copy
import json

import pytest

from tests.golden import versions

REGENERATE = "regenerate with python -m tests.golden.versions"


@pytest.fixture(scope="module")
def golden():
    return json.loads(versions.FILE.read_text())


@pytest.fixture(scope="module")
def measured():
    return versions.measure()


@pytest.mark.timeout(600)
def test_numbers_move_only_under_a_new_version(golden, measured):
    faults = versions.undeclared(golden, measured)
    assert not faults, "\n".join(faults)


def test_the_golden_file_is_up_to_date(golden, measured):
    same = golden["machine"] == measured["machine"]
    assert golden["results_version"] == measured["results_version"], REGENERATE
    for kind in ("metrics", "methods"):
        assert golden[kind].keys() == measured[kind].keys(), REGENERATE
        for id, entry in measured[kind].items():
            before = golden[kind][id]
            assert before.get("version") == entry.get("version"), f"{id}: {REGENERATE}"
            assert not versions.moved(before["values"], entry["values"], same), f"{id}: {REGENERATE}"


def test_numbers_that_moved_are_named(golden):
    """With what to raise; a version, or the plugin's own code, explains them."""
    new = copy.deepcopy(golden)
    new["metrics"]["ssim"]["values"]["noisy"] += 1e-8
    new["methods"]["ifirnn:C1H1"]["values"][0] += 1e-8
    new["methods"]["fba:r3p11"]["values"][0] = float("nan")
    new["tiled"]["unsharp:mild"][0] += 1e-6
    faults = versions.undeclared(golden, new)
    assert [fault.partition(" ")[0] for fault in faults] == ["metric", "fba:r3p11", "ifirnn:C1H1", "unsharp:mild"]
    new["metrics"]["ssim"]["version"] += 1
    new["methods"]["ifirnn:C1H1"]["code"] = "other"
    new["methods"]["unsharp:mild"]["code"] = "other"
    assert [fault.partition(" ")[0] for fault in versions.undeclared(golden, new)] == ["fba:r3p11"]
    new["results_version"] += 1
    assert not versions.undeclared(golden, new)
