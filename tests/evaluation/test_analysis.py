"""Numbers of an evaluation from predictions whose errors are known."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from deepset_bench.config import experiment
from deepset_bench.evaluation.analysis import Analysis
from deepset_bench.evaluation.ensemble import EnsemblePredictions
from deepset_bench.evaluation.scores import scores
from deepset_bench.evaluation.selection import Selection
from deepset_bench.molecules.frames import Frames
from deepset_bench.scoring.scored import ScoredRun
from tests import toy

OFFSETS = {"c2h4": 0.5, "c3h6": -2.0}  # eV


def analysis(*, identified: bool = True, several: bool = False) -> Analysis:
    """Twelve frames of two molecules, shuffled; an offset and ±0.1 eV on each molecule."""
    frames = Frames.concatenate([toy.frames(2, 6), toy.frames(3, 6, 1)])
    frames = frames.select(np.random.default_rng(0).permutation(12))
    offset = np.array([OFFSETS[name] for name in frames.molecule])
    shape = np.where(frames.index % 2, 0.1, -0.1)
    energy = frames.energy + offset + shape
    forces = frames.forces.copy()
    forces[frames.offsets[:-1], 0] += 0.3  # on the first atom of each frame, a carbon
    atomic = (energy / frames.n_atoms)[frames.frame_of_atom]
    spread = np.abs(energy - frames.energy)
    predictions = EnsemblePredictions(
        energy=energy,
        forces=forces,
        atomic_energies=atomic,
        energy_uncertainty=spread if several else None,
        forces_uncertainty=np.ones_like(forces) if several else None,
        sum_error=0.0,
    )
    known = (frames.molecule == "c2h4") | identified
    seen = np.where(frames.index < 2, "train", "held out")
    selection = Selection("x", "x", "x", frames, seen, known, [])
    run = ScoredRun(1, math.nan, experiment(()).config)
    return Analysis(selection, predictions, frames.forces, 20.0, np.zeros(len(frames)), run)


def test_every_metric_is_measured():
    """As the table of errors has those of it, of the frames whose energies are scored."""
    found = analysis(identified=False)
    errors = found.errors()[0]
    measured = scores(found, lambda _: None)
    for key in ("energy_mae_ev", "forces_rmse_ev_per_angstrom"):
        assert measured[key]["value"] == pytest.approx(errors[key])
    trivial = measured["forces_mae_ev_per_angstrom"]["trivial"]
    assert trivial == pytest.approx(errors["trivial_forces_mae_ev_per_angstrom"])
    elements = {row["element"]: row["forces_mae_ev_per_angstrom"] for row in found.elements()}
    of_elements = measured["forces_mae_by_element_ev_per_angstrom"]["value"]
    assert of_elements == pytest.approx(elements)


def test_an_offset_and_a_shape_error_are_told_apart():
    rows = {row["of"]: row for row in analysis().errors()}
    for name, offset in OFFSETS.items():
        row = rows[name]
        assert row["energy_offset_ev"] == pytest.approx(offset)
        assert row["relative_energy_mae_ev"] == pytest.approx(0.1)
        assert row["energy_mae_ev"] == pytest.approx(abs(offset))  # |offset ± 0.1|, evenly
    both = rows["all"]
    assert both["energy_mae_ev"] == pytest.approx(1.25)
    assert both["relative_energy_mae_ev"] == pytest.approx(0.1)
    assert both["energy_offset_ev"] is None
    assert (rows["in train"]["frames"], rows["held out"]["frames"]) == (4, 8)


def test_what_is_not_identified_is_not_scored():
    rows = {row["of"]: row for row in analysis(identified=False).errors()}
    assert rows["c3h6"]["energy_mae_ev"] is None
    assert rows["c3h6"]["energy_rmse_ev"] is None
    assert rows["c3h6"]["relative_energy_mae_ev"] == pytest.approx(0.1)
    assert rows["all"]["frames_scored"] == 6
    assert rows["all"]["energy_mae_ev"] == rows["c2h4"]["energy_mae_ev"] == pytest.approx(0.5)


def test_forces_by_element_molecule_and_frame():
    found = analysis()
    carbon, hydrogen = found.elements()
    assert (carbon["element"], hydrogen["element"]) == ("C", "H")
    assert (carbon["atoms"], hydrogen["atoms"]) == (30, 60)
    # 12 of the 3 x 30 components of carbons are wrong by 0.3.
    assert carbon["forces_mae_ev_per_angstrom"] == pytest.approx(0.3 * 12 / 90)
    assert carbon["forces_rmse_ev_per_angstrom"] == pytest.approx(0.3 * (12 / 90) ** 0.5)
    assert hydrogen["forces_mae_ev_per_angstrom"] == 0
    series = found.series
    np.testing.assert_allclose(series["forces_largest_error_ev_per_angstrom"], 0.3)
    assert (series["worst_atom"] == 0).all()
    n = series["molecule"].map({"c2h4": 6, "c3h6": 9})
    np.testing.assert_allclose(series["forces_mae_ev_per_angstrom"], 0.3 / (3 * n))
    labels = found.selection.frames.forces
    assert found.errors()[0]["trivial_forces_mae_ev_per_angstrom"] == np.abs(labels).mean()


def test_the_time_series_is_in_order_and_complete():
    series = analysis().series
    assert list(series["molecule"]) == ["c2h4"] * 6 + ["c3h6"] * 6
    assert list(series["frame"]) == list(series["step"]) == [*range(6), *range(6)]
    np.testing.assert_allclose(series["time_fs"], 20.0 * series["frame"])
    truth = np.concatenate([toy.frames(2, 6).energy, toy.frames(3, 6, 1).energy])
    np.testing.assert_array_equal(series["energy_ev"], truth)
    means = series.groupby("molecule")[["energy_relative_ev", "predicted_energy_relative_ev"]]
    np.testing.assert_allclose(means.mean(), 0, atol=1e-12)


def test_atomic_energies_sum_to_the_prediction():
    found = analysis()
    sums = found.atoms.groupby(["molecule", "frame"])["energy_ev"].sum()
    np.testing.assert_allclose(sums, found.series["predicted_energy_ev"], rtol=1e-14)
    first = found.atoms[found.atoms["molecule"] == "c3h6"].iloc[:9]
    assert list(first["element"]) == ["C"] * 3 + ["H"] * 6
    assert list(first["atom"]) == list(range(9))


def test_neighbours_stand_next_to_a_step_in_true_energy():
    found = analysis()
    table = found.neighbours([3, 99])
    assert list(table["of"]) == [3] * len(table)
    for name, group in found.series.groupby("molecule"):
        energies = np.sort(group["energy_ev"])
        own = group.loc[group["step"] == 3, "energy_ev"].item()
        rank = int(np.searchsorted(energies, own))
        around = table[table["molecule"] == name].set_index("place")["energy_ev"]
        assert around["step"] == own
        expected = {"below": rank - 1, "above": rank + 1}
        for place, at in expected.items():
            assert (place in around) == (0 <= at < 6)
            if place in around:
                assert around[place] == energies[at]


def test_uncertainty_of_energies_is_that_of_scored_ones():
    """What is said of a molecule without an absolute energy has no error to rank."""
    found = analysis(identified=False, several=True)
    known = found.series[found.series["identified"]]
    says = found.uncertainty()
    assert says["mean_energy_uncertainty_ev"] == known["energy_uncertainty_ev"].mean()
    # Where nothing is known the runs disagree most where they are right, for instance.
    unknown = ~found.selection.identified
    spread = found.predictions.energy_uncertainty
    spread[unknown] = 10 - spread[unknown]
    again = Analysis(*(getattr(found, f.name) for f in fields(found)))
    assert again.uncertainty() == says


def test_errors_of_many_molecules_take_memory_as_frames_do(monkeypatch):
    """Each is looked at by its own frames alone, and once."""
    found, sizes = analysis(), []
    measure = Analysis._errors

    def counted(self, rows, table):
        sizes.append(len(rows))
        return measure(self, rows, table)

    monkeypatch.setattr(Analysis, "_errors", counted)
    assert found.errors() == found.errors()
    assert sizes == [12, 6, 6, 8, 4]  # all, both molecules, held out, train


def test_uncertainty_beside_errors():
    assert analysis().uncertainty() is None
    found = analysis(several=True).uncertainty()
    assert found["energy_rank_correlation"] == pytest.approx(1.0)
    assert found["mean_forces_uncertainty_ev_per_angstrom"] == pytest.approx(1.0)
    assert found["forces_rank_correlation"] is None  # the same everywhere
    made = analysis(several=True)
    wrong = made.predictions.forces - made.forces
    assert found["forces_rmse_over_uncertainty"] == pytest.approx(np.sqrt((wrong**2).mean()))
    scored = made.series[made.series["identified"]]
    error, spread = scored["energy_error_ev"], scored["energy_uncertainty_ev"]
    expected = np.sqrt((error**2).mean() / (spread**2).mean())
    assert found["energy_rmse_over_uncertainty"] == pytest.approx(expected)
