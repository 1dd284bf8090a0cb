"""The deployed form at work: large systems, cells, compiled code and what is kept of it."""

from __future__ import annotations

import copy
import os

import numpy as np
import pytest
import torch
from ase.build import bulk

from deepset_bench.config import experiment
from deepset_bench.deployment import function, packages, program, runner
from deepset_bench.deployment.function import Deployed
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.deployment.runner import Runner
from deepset_bench.model.build import build_model
from deepset_bench.model.energy_reference import EnergyReference
from deepset_bench.model.potential import Potential
from deepset_bench.model.splines import Splines
from deepset_bench.testing import close, deployed_energies_and_forces, evaluate, random_molecule
from deepset_bench.training.setup import build_potential
from tests.training.tiny import DEEPSET_X, DEEPSET_X_2

SPECIES = torch.tensor([1, 6])
NARROW = ("width=8", "rbf.size=8", "gating.experts=2", "envelope=message")
SCHNET = ("model=schnet", "model.width=8", "model.layers=2", "model.basis_size=8")


def made(*overrides: str) -> tuple[Potential, EnergyReference]:
    """An untrained network of a cutoff of 4 angstrom."""
    config = experiment([*overrides, "cutoff=4"]).config
    torch.manual_seed(0)
    potential = Potential(build_model(config), SPECIES, 1.3).double().eval()
    reference = EnergyReference(SPECIES.numpy(), np.array([-3.0, -5.0]), constant=0.0, rank=2)
    return potential, reference


@pytest.mark.parametrize("overrides", [NARROW, DEEPSET_X])
def test_elements_behind_the_usual_tables(float64, overrides):
    config, elements = experiment(overrides).config, (101, 1)
    potential = build_potential(config, torch.tensor(sorted(elements)), 1.3).eval()
    frames = [random_molecule(elements, 5, 1)]
    expected = evaluate(potential, config, frames)
    for found, value in zip(
        deployed_energies_and_forces(potential, config, frames), expected, strict=True
    ):
        close(found, value, 1e-7)


def deployed(*overrides: str) -> Deployed:
    """Its deployed form."""
    return Deployed(*made(*(overrides or NARROW)), 4.0)


def crystal(repeat: tuple[int, int, int] = (1, 1, 1), strain: np.ndarray | None = None) -> Systems:
    """Rock salt of two elements, atoms off their places; strained as ASE strains a cell."""
    atoms = bulk("CH", "rocksalt", a=4.1, cubic=True)
    atoms.positions += np.random.default_rng(1).normal(0, 0.1, atoms.positions.shape)
    if strain is not None:
        atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    atoms = atoms.repeat(repeat)
    return Systems(
        atoms.numbers.astype(np.int64),
        atoms.positions,
        np.array([len(atoms)]),
        np.asarray(atoms.cell)[None],
        atoms.pbc[None],
    )


@pytest.mark.parametrize("overrides", [(), SCHNET])
def test_a_supercell_is_its_unit_cell_and_strain_is_a_derivative(overrides) -> None:
    run = Runner(deployed(*overrides), SPECIES, compile_it=False)
    energies, forces, strain = run(crystal())
    more, more_forces, more_strain = run(crystal((2, 2, 2)))  # 64 atoms, with a search
    np.testing.assert_allclose(more, np.tile(energies, 8), rtol=1e-10)
    np.testing.assert_allclose(more_forces, np.tile(forces, (8, 1)), atol=1e-9)
    np.testing.assert_allclose(more_strain.sum(0), 8 * strain.sum(0), atol=1e-8)
    h = 1e-5
    for a, b in ((0, 0), (0, 1), (2, 1)):
        by = np.zeros((3, 3))
        by[a, b] = by[b, a] = h
        up, down = (run(crystal(strain=sign * by))[0].sum() for sign in (1, -1))
        expected = strain.sum(0)[a, b] * (1 if a == b else 2)
        assert (up - down) / (2 * h) == pytest.approx(expected, abs=1e-6)


def test_a_system_in_pieces_is_the_system(monkeypatch) -> None:
    """And a molecule of one atom is one."""
    system = crystal((2, 2, 1))
    system = system._replace(pbc=np.zeros((1, 3), dtype=bool))  # 32 atoms in open space
    run = Runner(deployed(), SPECIES, compile_it=False)
    energies, forces, _ = run(system)
    monkeypatch.setattr("deepset_bench.deployment.neighbourhoods.AT_ONCE", 5)
    monkeypatch.setattr("deepset_bench.deployment.neighbourhoods.ALL_PAIRS", 5)
    in_pieces = Runner(deployed(), SPECIES, compile_it=False)(system)
    np.testing.assert_allclose(in_pieces[0], energies, rtol=1e-12)
    np.testing.assert_allclose(in_pieces[1], forces, atol=1e-12)
    alone = Systems(
        np.array([6]), np.zeros((1, 3)), np.array([1]), np.zeros((1, 3, 3)), np.zeros((1, 3), bool)
    )
    energies, forces, _ = run(alone)
    assert np.isfinite(energies).all()
    np.testing.assert_array_equal(forces, 0.0)


def test_compiled_code_is_kept_and_is_the_same_function(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    said: list[str] = []
    eager = Runner(deployed(), SPECIES, compile_it=False)(crystal())
    fast = Runner(deployed(), SPECIES, compile_it=True, say=said.append)
    for found, expected in zip(fast(crystal()), eager, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-10)
    assert not said
    (kept,) = (tmp_path / "cache" / "potentials").glob("*.pt2")
    monkeypatch.setattr(program, "compiled", lambda *given: pytest.fail("compiled again"))
    again = Runner(deployed(), SPECIES, compile_it=None, say=said.append)
    np.testing.assert_array_equal(again(crystal())[1], fast(crystal())[1])
    assert again.function is not again.deployed
    assert packages.place(deployed(*NARROW, "width=16")) != kept


def test_the_oldest_are_forgotten(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(packages, "MOST", 2)
    monkeypatch.setattr(program, "load", lambda path: path.name)
    for age, name in enumerate(("a", "b", "c")):
        place = tmp_path / f"{name}.pt2"
        assert packages.kept_or_made(place, lambda made: made.touch()) == f"{name}.pt2"
        os.utime(place, (age, age))
    packages.kept_or_made(tmp_path / "d.pt2", lambda made: made.touch())
    assert sorted(path.name for path in tmp_path.glob("*.pt2")) == ["c.pt2", "d.pt2"]


def test_what_cannot_be_compiled_goes_on_and_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    monkeypatch.setattr(runner, "PAYS", 3)

    def broken(*given: object) -> None:
        raise RuntimeError("no C++ compiler\nfound")

    monkeypatch.setattr(program, "exported", broken)
    said: list[str] = []
    run = Runner(deployed(), SPECIES, compile_it=None, say=said.append)
    results = [run(crystal())[0] for _ in range(5)]
    np.testing.assert_array_equal(results[0], results[-1])
    assert said == ["not compiled, so that each step takes longer: no C++ compiler found"]


def test_two_atoms_at_one_place_have_no_energy() -> None:
    system = crystal()
    system.positions[1] = system.positions[0]
    energies, _, _ = Runner(deployed(), SPECIES, compile_it=False)(system)
    assert np.isnan(energies[:2]).all()
    assert np.isfinite(energies[2:]).all()


@pytest.mark.parametrize(
    "overrides",
    [NARROW, (*NARROW, "gnn=sage"), (*NARROW, "envelope=none"), SCHNET, DEEPSET_X, DEEPSET_X_2],
    ids=["deepset", "layers", "no envelope", "schnet", "deepset_x", "deepset_x_2"],
)
def test_all_of_it_is_where_the_potential_is(monkeypatch, overrides) -> None:
    """Elsewhere is where tensors have shapes alone, so that the copy on the CPU is handed in."""
    potential, reference = made(*overrides)
    elsewhere = copy.deepcopy(potential).to("meta")
    monkeypatch.setattr(function, "on_the_cpu", {elsewhere: potential}.get)
    there = Deployed(elsewhere, reference, 4.0)
    state = dict([*there.named_parameters(), *there.named_buffers()])
    assert len(state) > 3
    assert {tensor.device.type for tensor in state.values()} == {"meta"}
    found = there(*program.example(there, SPECIES, torch.device("meta")))
    assert {tensor.device.type for tensor in found} == {"meta"}


def test_splines_of_a_function_that_jumps_are_refused() -> None:
    def jump(d: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.where(d > 2.0, d**2, 0.0)], dim=-1)

    with pytest.raises(ValueError, match="miss slopes by"):
        Splines([jump], 5.0, 1e-6, torch.float64)
    # Where experts enter and leave, the messages of a gate that keeps the nearest ones jump.
    potential, reference = made(*NARROW, "gating=top_k", "gating.experts=6", "gating.top_k=2")
    assert Deployed(potential, reference, 4.0).local
    uneven = torch.tensor([1.0, 1.1, 2.0, 2.2, 3.0, 3.1], dtype=torch.float64)
    potential.model.gate.thresholds.data = uneven
    assert not Deployed(potential, reference, 4.0).local
