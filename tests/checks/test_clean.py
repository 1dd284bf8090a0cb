"""Sound data raise no alarm, however they are turned, ordered, cut, or how hot they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks import cheap
from deepset_bench.checks.agreement import smooth
from deepset_bench.checks.cheap import Verdict, cheap_checks, examine
from deepset_bench.checks.full import FRAMES
from deepset_bench.checks.subject import Subject
from deepset_bench.data import catalogue
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.xtb import relabel
from tests.checks.cases import A, clean, defects, reordered, shuffled, turned

# One composition leaves none to compare.
ALONE = {"one energy scale": "not run"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("but-2-ene", ALONE), ("pent-2-ene", ALONE), ("alkenes", {"path in time": "not run"})],
)
def test_the_shipped_sets_have_no_defect(name: str, expected: dict[str, str]) -> None:
    subject = Subject(catalogue.load(name), name, sheet=catalogue.datasheet(name))
    checks = tuple(check for check in FRAMES if check is not smooth)
    findings = examine(subject, checks)
    harmful = {finding.check: finding.verdict for finding in findings if finding.verdict != "ok"}
    assert harmful == expected


def test_shipped_labels_are_those_of_a_smooth_surface() -> None:
    frames = clean(6000).select(slice(0, None, 240))
    assert [found.verdict for found in smooth(Subject(frames))] == ["ok", "ok"]


def test_training_on_a_shipped_set_says_nothing() -> None:
    verdict = cheap_checks(catalogue.load("pent-2-ene"), "potential")
    assert (verdict.verdict, verdict.findings) == ("ok", [])


@given(st.integers(0, 10**6), st.integers(0, 5600), st.integers(60, 400))
@settings(max_examples=8, deadline=None)
def test_harmless_changes(seed: int, first: int, n_frames: int) -> None:
    frames = turned(reordered(clean(n_frames, first), seed), seed)
    assert defects(frames) == set()
    assert defects(shuffled(frames, seed)) == set()


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.06, 0.12])
def test_cold_and_hot_geometries(noise: float) -> None:
    """Displaced at random from one geometry, by as much as at 20 to 2,000 K."""
    pytest.importorskip("tblite")
    rest = clean(1)
    parts = [
        replace(rest, positions=rest.positions + np.random.default_rng(m).normal(0, noise, (A, 3)))
        for m in range(60)
    ]
    displaced = replace(Frames.concatenate(parts), index=np.arange(60))
    frames = relabel(displaced, "gfn1", electronic_temperature=5000.0)
    assert defects(replace(frames, bias_forces=None)) == set()


def test_few_frames_are_no_reason_for_alarm() -> None:
    for n_frames in (1, 2, 5, 29):
        assert defects(clean(n_frames)) == set()


def test_without_pairs_or_a_known_bias_nothing_shows_that_forces_are_a_gradient() -> None:
    verdict = cheap_checks(clean(20), "potential")
    assert verdict.verdict == "suspect"
    assert "nothing shows" in verdict.findings[0]
    assert cheap_checks(clean(400), "potential").findings == []


def test_of_a_large_set_runs_of_frames_all_along_it_are_looked_at(monkeypatch):
    frames = clean(400)
    monkeypatch.setattr(cheap, "MOST", len(frames.numbers) // 4)
    some = cheap.sampled(frames)
    assert len(some) == 100
    assert {some.index[0], some.index[-1]} == {0, 399}
    assert (np.diff(some.index) == 1).sum() == 90
    verdict = cheap_checks(frames, "potential")
    assert verdict == Verdict("ok", ["looked at 100 of the 400 frames, evenly spaced"])
