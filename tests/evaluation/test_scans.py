"""Trained runs along paths: breaks where the model has them, none elsewhere, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from deepset_bench.data import catalogue
from deepset_bench.evaluation import scans
from deepset_bench.evaluation.continuity import Break
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.evaluation.paths import path, starting_molecule
from deepset_bench.molecules.frames import Frames
from tests import toy
from tests.training.tiny import DEEPSET_X, SCHNET, UNMOVED, VISNET, run

BRIEF = ("trainer.epochs=1", *UNMOVED, "cutoff=3.0")


@pytest.fixture
def molecule(own_folders):
    """C2H4, registered."""
    frames = toy.frames(2, 40)
    catalogue.register("tiny", frames, {})
    return starting_molecule(frames)


def scanned(molecule, kind, *overrides, thresholds=None, move=0.0):
    """A run along a path, each of its parameters moved by some normal numbers."""
    ensemble = Ensemble([run(*BRIEF, *overrides).folder.path], "cpu", "float64")
    torch.manual_seed(0)
    for parameter in ensemble.members[0].potential.parameters():
        parameter.add_(move * torch.randn_like(parameter))
    if thresholds is not None:
        gate = ensemble.members[0].potential.model.gate
        gate.thresholds.data = torch.tensor(thresholds, dtype=torch.float64)
    return scans.scan("x", ensemble, path(kind, molecule, 3.0))


def crossings(molecule, cutoff=3.0):
    """How often a pair of atoms crosses the cutoff along the pair scan."""
    along = path("pair", molecule, cutoff)
    n = len(molecule.numbers)
    build = along.build(along.grid[1:-1])  # the scan says nothing of its first and last step
    d = np.linalg.norm(build[:, :n, None] - build[:, None, n:], axis=-1)
    return int(np.abs(np.diff(d < cutoff, axis=0)).sum())


def test_with_the_envelope_nothing_breaks(molecule):
    for kind in ("torsion", "bond", "pair"):
        curve = scanned(molecule, kind)
        assert curve.breaks == []
        assert curve.summary()["largest_jump_ev"] is None
        assert np.ptp(curve.energy) > 0


@pytest.mark.parametrize(
    "overrides", [DEEPSET_X, SCHNET, VISNET], ids=["deepset_x", "schnet", "visnet"]
)
def test_of_other_networks_only_visnet_breaks_at_the_cutoff(molecule, overrides):
    curve = scanned(molecule, "pair", *overrides, move=0.1)  # many biases are zero at first
    if overrides is not VISNET:
        assert curve.breaks == []
    else:
        assert len(curve.breaks) == crossings(molecule)
        assert set(curve.causes) == {"cutoff"}


def test_without_it_every_crossing_of_the_cutoff_is_a_jump(molecule):
    curve = scanned(molecule, "pair", "envelope=none")
    assert len(curve.breaks) == crossings(molecule) > 10
    assert set(curve.causes) == {"cutoff"}
    assert all(one.is_jump for one in curve.breaks)
    # The jumps are the model's own: what the reference form says just before and after.
    assert curve.summary()["largest_jump_ev"] == max(abs(b.energy) for b in curve.breaks)


@pytest.mark.parametrize("gating", ["top_k", "dense"])
def test_only_a_top_k_gate_breaks_where_experts_change(molecule, gating):
    """Thresholds at 2 and 2.8 angstrom: at 2.4 the nearest one changes."""
    overrides = (f"gating.top_k={1 if gating == 'top_k' else 'null'}",)
    curve = scanned(molecule, "pair", *overrides, thresholds=[2.0, 2.8])
    if gating == "dense":
        assert curve.breaks == []
    else:
        assert curve.breaks
        assert set(curve.causes) == {"gate"}
        along = path("pair", molecule, 3.0)
        n = len(molecule.numbers)
        for one in curve.breaks:
            x = along.build(np.array([one.before]))[0]
            d = np.linalg.norm(x[:n, None] - x[None, n:], axis=-1)
            assert np.abs(d - 2.4).min() < 1e-6


def test_a_gate_is_asked_on_the_device_of_the_run(molecule):
    """Another device is here one where tensors have shapes alone."""
    overrides = (*BRIEF, "gating.top_k=1", "cutoff=8")
    (trained,) = Ensemble([run(*overrides).folder.path], "cpu", "float64").members
    asked = []

    class Gate(torch.nn.Module):
        def forward(self, d):
            asked.append(d.device.type)
            return torch.ones(d.shape)

    trained.potential.model.gate = Gate()
    trained.potential.species = trained.potential.species.to("meta")
    along = path("bond", molecule, 8.0)
    at = Break(*along.grid[:2], energy=1.0, force=0.0)
    assert scans.cause(trained, along, at) == "unexplained"
    assert asked == ["meta"]


def test_halved_edges_are_those_of_a_frame_alone(molecule):
    """Runs on every second edge of a batch must not depend on how the scan is batched."""
    ensemble = Ensemble([run(*BRIEF, "condition.edges=every_second").folder.path], "cpu", "float64")
    along = path("torsion", molecule, 3.0)
    together = ensemble(along.frames(along.grid[:7]), one_by_one=True).energy
    alone = [ensemble(along.frames(along.grid[k : k + 1])).energy[0] for k in range(7)]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-12)


def test_gfn1_is_of_the_ion_that_is_scanned():
    """Not of the neutral molecule of the same atoms."""
    xtb = pytest.importorskip("deepset_bench.molecules.xtb")
    pytest.importorskip("tblite.interface")
    at = np.array([[[0.0, 0.0, 0.0], [0.0, 0.0, 0.97]]])
    ion = Frames.unlabelled("hydroxide", np.array([8, 1]), at)
    ion = replace(ion, charge=np.array([-1]), spin=np.array([1]))
    along = path("bond:0-1", starting_molecule(ion), 3.0)
    t = along.grid[:1]
    energy = scans.gfn1_along(along, 300.0)(t).energy[0]
    assert energy == xtb.XTB([8, 1], charge=-1)(along.build(t)[0])[0]


def test_gfn1_on_the_same_path(molecule):
    pytest.importorskip("tblite.interface")
    along = path("bond", molecule, 3.0)
    curve = scans.gfn1(along, 5000.0)
    assert curve.breaks == []
    lowest = curve.t[np.argmin(curve.energy)]
    assert 1.2 < lowest < 1.45  # a C=C bond
    assert set(curve.t) <= set(along.grid)
    shifted = scans.Curve("x", along.grid, np.interp(along.grid, curve.t, curve.energy + 3), [], [])
    assert shifted.difference(curve) == pytest.approx(0, abs=1e-9)
