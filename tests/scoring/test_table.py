"""The table of metrics: each against numpy, and what a file has to say to be in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.data import chemical_symbols
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench import registry
from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.record import ERRORS
from deepset_bench.scoring.measure import measure
from deepset_bench.scoring.metrics import errors
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.scoring.table import USUAL, Metric, chosen, metrics
from deepset_bench.scoring.unseen import Scorer
from tests import toy

FRAMES = toy.frames(2, 5)
M, A = len(FRAMES), len(FRAMES.numbers)


def scored(seed: int = 0, size: float = 0.1) -> tuple[Predictions, Labels]:
    rng = np.random.default_rng(seed)
    labels = Labels(rng.normal(0.0, 1.0, M), FRAMES.forces, FRAMES)
    energy, forces = rng.normal(0.0, size, M), rng.normal(0.0, size, (A, 3))
    return Predictions(labels.energy + energy, labels.forces + forces), labels


@pytest.fixture
def run() -> ScoredRun:
    return ScoredRun(1234, 0.0125, experiment(()).config)


def always() -> list[Metric]:
    """What training measures."""
    return [metric for metric in metrics() if not metric.on_demand]


@pytest.mark.parametrize(
    ("name", "predicted"),
    [
        ("energy_rmse", "mean energy"),
        ("forces_mae_by_element", "zero force"),
        ("stress_mae", "zero stress"),
        ("ms_per_md_step", ""),
    ],
)
def test_what_the_trivial_baseline_of_a_metric_predicts(name, predicted):
    assert chosen([name])[0].trivial == predicted


def value(name: str, *given: object) -> object:
    (metric,) = chosen([name])
    return metric(*given)  # type: ignore[arg-type]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(1e-3, 10.0))
def test_against_numpy(seed, size):
    run = ScoredRun(1234, 0.0125, experiment(()).config)
    predictions, labels = scored(seed, size)
    energy = np.abs(predictions.energy - labels.energy)
    forces = np.abs(predictions.forces - labels.forces)
    for name, wrong in (("energy", energy), ("forces", forces)):
        found = {
            of: value(f"{name}_{of}", predictions, labels, run)
            for of in ("mae", "rmse", "median", "p95")
        }
        assert found["mae"] == pytest.approx(wrong.sum() / wrong.size)
        assert found["rmse"] == pytest.approx(np.linalg.norm(wrong) / np.sqrt(wrong.size))
        for of, share in (("median", 0.5), ("p95", 0.95)):
            places = np.arange(wrong.size)
            expected = np.interp(share * (wrong.size - 1), places, np.sort(wrong, axis=None))
            assert found[of] == pytest.approx(expected)
    of_elements = value("forces_mae_by_element", predictions, labels, run)
    symbols = np.array(chemical_symbols)[FRAMES.numbers]
    assert of_elements == {
        str(one): pytest.approx(forces[symbols == one].mean()) for one in np.unique(symbols)
    }


def test_keys_are_those_of_every_result(run):
    """result.json has had these four since the first version."""
    found = measure(always(), *scored(), run)
    predictions, labels = scored()
    before = errors(predictions.energy - labels.energy, predictions.forces - labels.forces)
    assert before.as_dict().items() <= found.items()
    assert tuple(one.key for one in chosen(USUAL)) == ERRORS
    assert found["parameters"] == 1234


def test_energies_that_are_not_scored(run):
    """The reference says nothing about a molecule: its energy is left out, its forces are not."""
    train = toy.frames(3, 5)
    scorer = Scorer.after(train, FRAMES, "molecule_mean", "potential")
    assert not scorer.identified.any()
    found = measure(always(), *scored(), run, scorer)
    energies = ("energy_mae_ev", "energy_rmse_ev", "energy_median_ev", "energy_p95_ev")
    assert [found[key] for key in energies] == [None] * 4
    assert found["forces_median_ev_per_angstrom"] > 0
    assert found["molecules"]["c2h4"]["forces_mae_ev_per_angstrom"] > 0


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "own.py"
    path.touch()
    monkeypatch.setenv(registry.ENVIRONMENT, str(path))
    registry._variants.cache_clear()
    yield path
    registry._variants.cache_clear()


def write(path: Path, decorator: str, body: str) -> None:
    text = "from deepset_bench.variants import metric\n\n\n"
    registry._variants.cache_clear()
    path.write_text(f"{text}@metric({decorator})\ndef f(predictions, labels, run):\n    {body}\n")


@pytest.mark.parametrize(
    ("decorator", "said"),
    [
        ("'f', digits=1.5", "digits=1.5 of a metric must be a whole number"),
        ("'f', digits=-1", "digits=-1 of a metric"),
        (
            "'f', of='atoms'",
            "of='atoms' of a metric must be 'frames', 'stress', 'run' or 'potential'",
        ),
        ("'f', unit=3", "unit=3 of a metric must be str"),
        ("'f', less_is_better='no'", "less_is_better='no' of a metric must be bool"),
        ("'f', units='eV'", "does not take units; did you mean unit"),
        ("'energy_mae'", "metric energy_mae is the product's own"),
        ("'energy'", "would be energy in result.json and tables, which is metric energy_mae"),
        ("'molecules'", "would be molecules in result.json and tables, which is something else"),
        ("'energy_mae_ev'", "would be energy_mae_ev"),
    ],
)
def test_what_cannot_be_in_the_table(own, decorator, said):
    write(own, decorator, "return 1.0")
    with pytest.raises(UserError) as caught:
        metrics()
    assert said in str(caught.value)
    assert str(own) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 1 / 0", "own.py, line 6: metric f fails: ZeroDivisionError"),
        ("return predictions.energy", "metric f returns ndarray, not a number"),
        ("return None", "metric f returns NoneType, not a number"),
        ("return {'C': 'much'}", "metric f returns str, not a number"),
    ],
)
def test_a_metric_that_fails(own, run, body, said):
    write(own, "'f'", body)
    with pytest.raises(UserError, match="metric f") as caught:
        measure(chosen(["f"]), *scored(), run)
    assert said in str(caught.value)
    lines: list[str] = []
    found = measure(chosen(["f", "energy_mae"]), *scored(), run, say=lines.append)
    assert found["f"] is None
    assert found["energy_mae_ev"] > 0
    assert lines == [str(caught.value)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return float('nan')", None),
        ("return labels.energy[:0].mean()", None),
        ("return labels.energy.argmax() * 0 + 3", 3),
        ("return {'C': 1.0, 'H': float('inf')}", {"C": 1.0, "H": None}),
    ],
)
def test_numbers_and_families(own, run, body, expected):
    write(own, "'f', unit='kJ/mol'", body)
    assert measure(chosen(["f"]), *scored(), run) == {"f_kj_per_mol": expected}


def test_units():
    usual, named = chosen(["energy_mae,forces_mae_by_element"]), chosen(["parameters"])
    assert [one.shown("mev")[1] for one in usual] == ["meV", "meV/Å"]
    assert [one.shown("hartree")[1] for one in usual] == ["Ha", "Ha/bohr"]
    assert named[0].shown("mev") == (1.0, "", 0)
    assert [one.words for one in usual] == ["energy MAE", "forces MAE by element"]


def test_a_name_that_is_none():
    with pytest.raises(UserError, match="no metric is called energy_mea; did you mean energy_mae"):
        chosen(["energy_mea"])
