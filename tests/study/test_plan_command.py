"""`bench plan`, and what a dry run says of power."""

from __future__ import annotations

import math
import os
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest

from deepset_bench.processor import model_name
from deepset_bench.study.planning import fraction
from deepset_bench.study.power import detectable
from deepset_bench.sweep import studies
from tests.study.folders import write, write_times
from tests.study.test_until import bench as bench
from tests.study.test_until import study as study
from tests.training.tiny import OVERRIDES

pytestmark = pytest.mark.usefixtures("tiny")


def done(width: int, errors: list[float]) -> None:
    """Runs of a width, seed by seed, of ten seconds each."""
    lines = [*(line for line in OVERRIDES if not line.startswith("width=")), f"width={width}"]
    facts = {"machine": f"{platform.system()} {platform.machine()}", "wall_seconds": 10.0}
    for seed, error in enumerate(errors):
        root = Path(os.environ["BENCH_RUNS"])
        write(root, lines, seed, error, forces=0.027, **facts).write_status("done", "")


def test_without_runs_the_usual_scatter_is_assumed(bench, study):
    out = bench("plan")
    assert "energy MAE 11.8 % (assumed: no run tells)" in out
    assert "forces MAE 5.9 % (assumed: no run tells)" in out
    assert "unknown" in out  # the time
    assert f" 5 {fraction(detectable(0.118, 5, 0.05))} " in out
    assert "equality" in out
    assert "within 5.0 %" in out
    assert not Path(os.environ["BENCH_RUNS"]).exists()


def test_runs_say_how_they_scatter_and_how_long_they_take(bench, study):
    done(8, [0.02, 0.02, 0.02])
    done(16, [0.02, 0.02 * math.exp(0.1), 0.02 * math.exp(0.2)])
    done(24, [0.02, 0.02 * math.exp(0.3)])
    scatter = np.sqrt((0.02 + 0.045) / 3)  # two and one degrees of freedom
    out = bench("plan", "widths", "--jobs", "1")
    assert f"energy MAE {100 * scatter:.1f} % (3 degrees of freedom)" in out

    # Three seeds of four rows are twelve runs, of which eight are there.
    assert " 40 s " in out

    bench("results", "export", "kept.csv")
    shutil.rmtree(os.environ["BENCH_RUNS"])
    assert bench("plan", "widths", "--jobs", "1", "--results", "kept.csv") == out


@pytest.mark.parametrize(("processor", "said"), [(model_name(), "72 s"), ("Abacus", "unknown")])
def test_steps_that_were_timed_here_say_how_long_runs_take(bench, study, processor, said):
    """Three seeds of four rows: twelve runs of 3,000 steps of 2 ms."""
    ms = {label: [2.0] * 8 for label in ("narrow", "worse", "same", "restless")}
    _, widths = studies.find("widths")
    write_times(Path(os.environ["BENCH_RUNS"]), widths, "", ms, processor=processor)
    out = bench("plan", "widths", "--jobs", "1")
    assert f" {said} " in out
    assert ("bench time, which measures" in out) == (said == "unknown")


def test_a_metric_without_runs_is_unknown(bench, study):
    sheet = study / "study.yaml"
    sheet.write_text(sheet.read_text() + "metrics: [energy_rmse]\n")
    out = bench("plan")
    assert "energy RMSE unknown" in out
    assert "—" in out


def test_a_dry_run_has_the_power_in_a_line(bench, study):
    found = [fraction(detectable(0.118, 5, level)) for level in (0.05, 0.05 / 3)]
    out = bench("sweep", "--seeds", "5", "--dry-run")
    assert f"widths: 5 seeds detect an effect on energy MAE {found[0]} alone, {found[1]} in" in out
    out = bench("sweep", "--dry-run")
    assert "one seed of each row tells no difference from chance" in out
    out = bench("sweep", "--until", "decided", "--dry-run")
    assert "widths: 8 seeds detect" in out


def test_runs_of_one_variant_have_no_power_and_nothing_to_decide(bench):
    assert "detect" not in bench("sweep", *OVERRIDES, "--seeds", "5", "--dry-run")
    out = bench("sweep", *OVERRIDES, "--until", "decided", status=2)
    assert "--until decided takes one study, sweep or overrides with several values" in out


def test_a_study_that_compares_nothing(bench, study):
    (study / "claims.yaml").unlink()
    (study / "widths.yaml").write_text("title: one\nruns:\n  - {label: a, overrides: []}\n")
    assert "there is nothing to plan" in bench("plan", status=2)


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.nan, "—"), (0.05, "5.0 %"), (0.123, "12 %"), (30.0, "×31"), (1e9, "over ×1000")],
)
def test_effects_read_well(value, text):
    assert fraction(value) == text
