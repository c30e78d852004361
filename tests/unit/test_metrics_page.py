"""docs/metrics.md is generated; a stale one, or a metric without an explanation, fails here."""

from __future__ import annotations

import json
from pathlib import Path

from deblurbench.metrics import METRICS
from docs.generate import metrics
from docs.generate.metrics_prose import EXPLAINED

ROOT = Path(__file__).resolve().parents[2]


def test_every_metric_is_explained_and_nothing_else():
    assert list(EXPLAINED) == list(METRICS)
    for told in EXPLAINED.values():
        assert told.what and told.formula and told.traps


def test_the_page_is_up_to_date():
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert written == metrics.page(), "run: python -m docs.generate.metrics"


def test_ours_and_the_twins_agree_on_the_real_clip():
    measured = json.loads(metrics.MEASURED.read_text(encoding="utf-8"))
    assert set(measured["metrics"]) == set(METRICS)
    loose = {"vmaf": 0.02, "ssim-ecc": 2e-5, "psnr-ecc": 1e-4, "dists": 1e-5}
    for id, row in measured["metrics"].items():
        assert row["difference"] <= loose.get(id, 1e-6 * max(1.0, abs(row["ours"]))), id
