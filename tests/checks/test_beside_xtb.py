"""Labels against GFN-xTB: whose they are, in which unit, and what was added along what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deepset_bench.checks.beside_xtb import (
    bias,
    charge_and_spin,
    level_of_theory,
    single_frames,
    units_against_method,
)
from deepset_bench.checks.full import full_examination
from deepset_bench.checks.sample import samples
from deepset_bench.checks.subject import Subject
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.xtb import relabel
from tests.checks import cases
from tests.checks.cases import A, clean, cubes

pytest.importorskip("tblite")

KELVIN = {"electronic_temperature_kelvin": 5000.0}
"""Of the shipped set's labels."""
FEW = 6


def few() -> Frames:
    return clean(6000).select(slice(0, None, 1000))


def examined(frames: Frames, **facts: object):
    subject = Subject(frames, **{"sheet": KELVIN, **facts})  # type: ignore[arg-type]
    return subject, samples(subject, FEW)[0]


def along(frames: Frames, kind: str, atoms: tuple[int, ...]) -> FloatArray:
    """Forces of 1 to 3 eV or eV/angstrom along a coordinate."""
    positions = cubes(frames.positions)
    size = np.random.default_rng(0).uniform(1, 3, len(positions))
    if kind == "torsion":
        gradient = np.array([torsion(frame, atoms)[1] for frame in positions])
    else:
        gradient = np.zeros_like(positions)
        vector = positions[:, atoms[0]] - positions[:, atoms[1]]
        gradient[:, atoms[0]] = vector / np.linalg.norm(vector, axis=1, keepdims=True)
        gradient[:, atoms[1]] = -gradient[:, atoms[0]]
    return (size[:, None, None] * gradient).reshape(-1, 3)


def test_the_shipped_labels() -> None:
    subject, found = examined(few())
    assert level_of_theory(subject, found).text.startswith("GFN1-xTB energies: ")
    findings = [level_of_theory(subject, found), *units_against_method(subject, found)]
    findings.append(bias(subject, found))
    assert [finding.verdict for finding in findings] == ["ok"] * 4


def test_the_electronic_temperature_is_found_where_none_is_stated() -> None:
    subject, found = examined(few(), sheet={})
    assert found.electronic_temperature == 5000.0
    assert bias(subject, found).verdict == "ok"


def test_labels_of_the_other_method() -> None:
    subject, found = examined(relabel(few(), "gfn2", electronic_temperature=5000.0))
    assert found.best.method == "gfn2"
    claimed = replace(subject, sheet={**KELVIN, "method": "GFN1-xTB"})
    assert level_of_theory(subject, found).verdict == "ok"
    assert level_of_theory(claimed, found).verdict == "defect"
    assert "datasheet says GFN1-xTB" in level_of_theory(claimed, found).text


def test_labels_of_neither() -> None:
    """Springs between all atoms: conservative, but no quantum chemistry."""
    frames = few()
    positions = cubes(frames.positions)
    vectors = positions[:, :, None] - positions[:, None]
    forces = -2.0 * vectors.sum(axis=2)
    energy = 0.5 * (vectors**2).sum(axis=(1, 2, 3))
    subject, found = examined(replace(frames, energy=energy, forces=forces.reshape(-1, 3)))
    assert level_of_theory(subject, found).text.startswith("neither")
    assert not found.best.identified


@pytest.mark.parametrize(
    ("kind", "atoms", "name"),
    [
        ("torsion", (0, 1, 2, 3), "the torsion 0-1-2-3"),
        ("torsion", (4, 0, 1, 7), "the torsion 4-0-1-7"),
        ("distance", (0, 3), "the distance 0-3"),
    ],
)
@pytest.mark.parametrize("strength", [0.05, 1.0])
def test_a_bias_along_a_coordinate(kind, atoms, name, strength) -> None:
    frames = few()
    added = strength * along(frames, kind, atoms)
    subject, found = examined(replace(frames, forces=frames.forces + added))
    verdict = bias(subject, found)
    assert verdict.verdict == "defect"
    assert verdict.atoms == tuple(sorted(atoms))
    assert name in verdict.text
    assert verdict.number == pytest.approx(np.abs(added).mean(), rel=1e-3)
    assert "bench data relabel NAME --as NEW --method gfn1" in verdict.advice


def test_the_metadynamics_of_the_shipped_set_acts_on_two_torsions() -> None:
    frames = few()
    added = cases.bias(6000).reshape(6000, A, 3)[::1000].reshape(-1, 3)
    subject, found = examined(replace(frames, forces=frames.forces + added))
    verdict = bias(subject, found)
    assert verdict.verdict == "defect"
    assert verdict.atoms == (0, 1, 2, 3, 7, 8)
    assert "torsion 0-1-2-3 and the torsion 7-1-2-8" in verdict.text


def test_a_bias_that_grows_with_time() -> None:
    frames = clean(40)
    ramp = np.repeat(np.linspace(0, 1, 40), A)[:, None]
    added = ramp * along(frames, "torsion", (0, 1, 2, 3))
    subject = Subject(replace(frames, forces=frames.forces + added), sheet=KELVIN)
    assert "grows along the trajectory" in bias(subject, samples(subject, 40)[0]).text


def test_forces_from_outside_are_no_coordinate() -> None:
    frames = few()
    forces = cubes(frames.forces)
    forces[:, 2] += [1.0, 0.0, 0.0]
    subject, found = examined(replace(frames, forces=forces.reshape(-1, 3)))
    verdict = bias(subject, found)
    assert verdict.verdict == "defect"
    assert verdict.atoms == (2,)
    assert "outside the molecule" in verdict.text


@pytest.mark.parametrize(("noise", "verdict"), [(0.001, "ok"), (0.08, "suspect"), (1.0, "defect")])
def test_noise_on_all_atoms(noise: float, verdict: str) -> None:
    frames = few()
    added = np.random.default_rng(0).normal(0, noise, frames.forces.shape)
    subject, found = examined(replace(frames, forces=frames.forces + added))
    assert bias(subject, found).verdict == verdict


@pytest.mark.parametrize("factor", [0.5292, 1 / 27.2114, 27.2114, 1 / 51.4221, 23.06])
def test_units_of_forces_and_energies(factor: float) -> None:
    frames = few()
    for changed, check in (
        (replace(frames, forces=factor * frames.forces), "force unit (GFN-xTB)"),
        (replace(frames, energy=factor * frames.energy), "energy unit (GFN-xTB)"),
    ):
        if check.startswith("energy") and factor in (0.5292, 1 / 51.4221):
            continue  # no energies come in these
        subject, found = examined(changed)
        findings = units_against_method(subject, found)
        (wrong,) = [finding for finding in findings if finding.verdict != "ok"]
        assert wrong.check == check
        assert wrong.verdict == "defect"
        assert wrong.number == pytest.approx(factor, rel=1e-3)
        assert bias(subject, found).verdict == "ok"


def test_a_frame_that_does_not_converge_is_left_out() -> None:
    frames = few()
    positions = cubes(frames.positions)
    positions[2, 4] = positions[2, 5]
    subject = Subject(replace(frames, positions=positions.reshape(-1, 3)), sheet=KELVIN)
    assert samples(subject, FEW)[0].failed == 1


def test_without_tblite_the_reason_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tblite.interface", None)
    with pytest.raises(UserError, match=r"deepset-bench\[generate\]"):
        examined(few())


def test_every_molecule_of_a_set_is_computed_anew() -> None:
    """The labels of one of thirteen molecules are another method's."""
    frames = catalogue.load("alkenes")
    names = np.unique(frames.molecule)
    chosen = np.concatenate([np.flatnonzero(frames.molecule == name)[:5] for name in names])
    frames = replace(frames.select(chosen), bias_forces=None)
    other = frames.molecule == "propene"
    energy = frames.energy.copy()
    energy[other] = relabel(frames.select(np.flatnonzero(other)), "gfn2").energy
    subject = Subject(replace(frames, energy=energy), sheet={**KELVIN, "method": "GFN1-xTB"})
    report = full_examination(subject, 20)
    (level,) = [f for f in report.findings if f.check == "level of theory"]
    assert level.verdict == "defect"
    assert "of propene" in level.text
    assert report.sample is not None
    assert report.sample.group.molecule == "propene"


def test_a_minority_of_another_method_is_counted_and_named() -> None:
    frames = clean(1000).select(slice(0, None, 100))
    other = cubes(relabel(frames, "gfn2", electronic_temperature=5000.0).forces)
    forces = cubes(frames.forces)
    forces[[3, 6, 7]] = other[[3, 6, 7]]
    subject = Subject(replace(frames, forces=forces.reshape(-1, 3)), sheet=KELVIN)
    sample = samples(subject, 10)[0]
    found = single_frames(sample)
    assert found.verdict == "defect"
    assert found.frames == tuple(frames.index[[3, 6, 7]])
    assert "3 of 10 frames (30%)" in found.text
    assert "the forces of 3 are GFN2-xTB's" in found.text
    assert level_of_theory(subject, sample).verdict == "ok"


def test_a_restraint_in_some_frames_is_named() -> None:
    frames = clean(1000).select(slice(0, None, 100))
    on = np.repeat(np.arange(10) % 3 == 0, A)[:, None]
    added = 0.2 * on * along(frames, "distance", (0, 3))
    subject = Subject(replace(frames, forces=frames.forces + added), sheet=KELVIN)
    found = single_frames(samples(subject, 10)[0])
    assert found.verdict == "defect"
    assert len(found.frames) == 4
    assert "along the distance 0-3" in found.text


@pytest.mark.parametrize("charge", [1, -1])
def test_labels_of_another_charge(charge: int) -> None:
    ion = replace(few(), charge=np.full(FEW, charge))
    labelled = relabel(ion, electronic_temperature=5000.0)
    frames = replace(labelled, charge=np.zeros(FEW), bias_forces=None)
    _, found = examined(frames)
    verdict = charge_and_spin(found)
    assert verdict.verdict == "defect"
    assert f"look like those of charge {charge:+d}" in verdict.text
    assert f"--charge {charge}" in verdict.advice


def test_forces_that_are_a_factor_off() -> None:
    frames = few()
    subject, found = examined(replace(frames, forces=0.85 * frames.forces))
    energy, force = units_against_method(subject, found)
    assert (energy.verdict, force.verdict) == ("ok", "defect")
    assert force.number == pytest.approx(0.85)


def test_energies_that_hold_something_else() -> None:
    frames = few()
    energy = frames.energy + np.random.default_rng(0).normal(0, 0.3, FEW)
    subject, found = examined(replace(frames, energy=energy))
    verdict = level_of_theory(subject, found)
    assert verdict.verdict == "defect"
    assert "total instead of potential energies" in verdict.advice
    subject, found = examined(replace(frames, energy=frames.energy + 100.0))
    assert level_of_theory(subject, found).verdict == "suspect"


def test_one_frame_tells_no_slope_and_permuted_atoms_are_one_molecule() -> None:
    frames = few()
    subject, found = examined(frames.select([0]))
    assert {f.verdict for f in units_against_method(subject, found)} == {"not run", "ok"}
    assert level_of_theory(subject, found).verdict == "ok"
    parts = [cases.reordered(frames.select([m]), m) for m in range(FEW)]
    subject = Subject(Frames.concatenate(parts), sheet=KELVIN)
    (sample,) = samples(subject, FEW)
    assert len(sample.group) == FEW
    assert {f.verdict for f in units_against_method(subject, sample)} == {"ok"}


def test_what_takes_too_long_is_computed_for_fewer_frames(monkeypatch) -> None:
    monkeypatch.setattr("deepset_bench.checks.sample._SECONDS", 0.0)
    subject = Subject(few(), sheet=KELVIN)
    (sample,) = samples(subject, FEW)
    assert len(sample.group) == 1
    monkeypatch.setattr("deepset_bench.checks.sample._LARGEST", 11)
    with pytest.raises(UserError, match="over 11 atoms"):
        samples(subject, FEW)
