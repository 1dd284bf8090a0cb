"""The sentence under the table of errors."""

from __future__ import annotations

import math

import pytest

from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.training.judgement import judgement
from deepset_bench.training.progress import times
from tests.test_cli import inside
from tests.training.tiny import UNMOVED, asked


def result(energy: float, forces: float) -> dict:
    """Of errors where knowing nothing scores 1."""
    ours = {ENERGY_MAE: energy, FORCES_MAE: forces}
    nothing = {ENERGY_MAE: 1.0, FORCES_MAE: 1.0}
    return {
        "metrics": {"test": ours, "val": ours},
        "baselines": {"test": nothing, "val": nothing},
    }


SHORT = {
    **{"data.train_size": 20, "trainer.batch_size": 6, "trainer.epochs": 4},
    **{"trainer.schedule.warmup_steps": 1000},
}
LONGER = "the warm-up of 1,000 steps is longer than the run (16 steps)"


@pytest.mark.parametrize(
    ("errors", "settings", "expected"),
    [
        (
            (1 / 9, 1 / 12.2),
            {},
            "energies 9 times better than predicting the mean; "
            "forces 12 times better than predicting zero",
        ),
        (
            (1 / 1.44, 1.0),
            {},
            "energies 1.4 times better than predicting the mean; "
            "forces no better than predicting zero",
        ),
        (
            (1 / 1.44, 1.2),
            SHORT,
            "energies 1.4 times better than predicting the mean; "
            f"forces worse than predicting zero: {LONGER}",
        ),
        (
            (2.0, 0.1),
            {"trainer.energy_weight": 0.0},
            "energies worse than predicting the mean: with trainer.energy_weight=0 the loss has "
            "no energies in it; forces 10 times better than predicting zero",
        ),
        ((math.nan, 0.1), {}, "forces 10 times better than predicting zero"),
        (
            (2.0, 2.0),
            SHORT | {"trainer.schedule.warmup_steps": 16},
            "energies worse than predicting the mean; forces worse than predicting zero",
        ),
    ],
)
def test_errors_in_words(errors, settings, expected):
    assert judgement(result(*errors), settings) == expected


@pytest.mark.usefixtures("tiny")
def test_train_says_why_nothing_was_learned(monkeypatch, capsys):
    """Parameters that hardly move: whatever the rounding, it is as bad as knowing nothing or worse
    in the forces, or it is said to be better."""
    words = asked(*UNMOVED, "trainer.schedule.warmup_steps=1000", "trainer.energy_weight=1e-9")
    status, out, _ = inside(monkeypatch, capsys, "train", *words)
    assert status == 0
    (line,) = [text for text in out.splitlines() if text.startswith("energies ")]
    assert "than predicting the mean" in line
    assert ("better than" in line.replace("no better than", "")) or LONGER in line


def test_time_in_words():
    assert times(11.2, 2.4) == "elapsed 0:11, about 0:02 left"
    assert times(3725, None) == "elapsed 1:02:05"
    assert times(59.7, 600) == "elapsed 1:00, about 10:00 left"
