"""The ASE calculator on tiny trained runs: against the reference form, itself and mechanics."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.filters import FrechetCellFilter
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation import ensemble
from deepset_bench.evaluation.trained import load_trained
from deepset_bench.model.buckets import Buckets, table_shapes
from deepset_bench.scoring.metrics import predict
from deepset_bench.training.train import train
from tests import toy
from tests.training.tiny import DEEPSET_X, DEEPSET_X_2, SCHNET, UNMOVED, VISNET

BRIEF = (
    "data=c3h6",
    "data.train_size=200",
    "data.val_size=20",
    "data.test_size=20",
    "trainer.epochs=1",
    *UNMOVED,
    "width=16",
    "rbf.size=16",
    "threads=1",
    "device=cpu",
)


@pytest.fixture(scope="module")
def make_run(tmp_path_factory):
    """A run of the toy C3H6 with some overrides, hardly trained; its folder."""
    home = tmp_path_factory.mktemp("home")

    def run(*overrides: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BENCH_DATA", str(home / "data"))
            patch.setenv("BENCH_RUNS", str(home / "runs"))
            if "c3h6" not in catalogue.names():
                catalogue.register("c3h6", toy.frames(3, 240), {"method": "analytic"})
            return train([experiment([*BRIEF, *overrides])])[0].folder.path

    return run


@pytest.fixture(scope="module")
def runs(make_run) -> list[Path]:
    """Two seeds of the baseline."""
    return [make_run("seed=0"), make_run("seed=1")]


@pytest.fixture
def atoms() -> Atoms:
    """C3H6 away from rest."""
    frame = toy.frames(3, 1, seed=7)
    return Atoms(frame.numbers, frame.positions)


def frame_of(atoms: Atoms):
    return toy.geometry(atoms.numbers, atoms.positions)


@pytest.mark.parametrize("overrides", [(), ("gnn=gat", "condition=report"), ("rbf=x2_x4_log",)])
def test_agrees_with_the_reference_form(make_run, atoms, overrides):
    run = make_run(*overrides)
    trained = load_trained(run, "cpu")
    frame, cutoff = frame_of(atoms), trained.config.cutoff
    shapes = table_shapes(frame, cutoff, 1)
    tables = Buckets.build(frame, cutoff, shapes, every_second=trained.config.every_second)
    trained.potential.form = "reference"
    energy, forces, *_ = predict(trained.potential, tables, 1)
    calculator = DeepSetCalculator(run, device="cpu")
    atoms.calc = calculator
    # float32: some hundred roundings of 6e-8 on energies about the reference of at most 10 eV.
    reference = trained.reference(frame_of(atoms))[0]
    assert atoms.get_potential_energy() - reference == pytest.approx(energy.item(), abs=1e-4)
    bound = 1e-4 * forces.abs().max().item()
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=bound)


def test_atomic_energies_sum_to_the_energy(make_run, runs, atoms):
    for folders in (runs, make_run("reference=molecule_mean")):
        atoms.calc = DeepSetCalculator(folders)
        energies = atoms.get_potential_energies()
        assert energies.shape == (9,)
        # Both are the same float64 sum, in another order.
        assert energies.sum() == pytest.approx(atoms.get_potential_energy(), rel=1e-14)
        assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


@pytest.mark.parametrize(
    ("precision", "h", "bound"), [("float64", 1e-5, 1e-7), ("float32", 3e-3, 2e-3)]
)
def test_forces_are_the_gradient(make_run, atoms, precision, h, bound):
    """Central differences; h in angstrom, the bound in eV/angstrom on forces up to 3.

    Truncation is h^2 F''/6 with F'' of some 100 eV/angstrom^3: 2e-9 and 2e-4. Rounding is
    eps |E| / h with 200 eV in float64, reference included, and 1 eV in float32: 4e-9 and 2e-5,
    times the square root of the number of roundings.
    """
    atoms.calc = DeepSetCalculator(make_run(*DEEPSET_X), precision=precision)
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 1
    for atom, axis in ((0, 0), (2, 1), (5, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[atom, axis] += sign * h
            energies.append(moved.get_potential_energy())
        assert -(energies[0] - energies[1]) / (2 * h) == pytest.approx(
            forces[atom, axis], abs=bound
        )


def drift(calculator: DeepSetCalculator, femtoseconds: float, steps: int) -> tuple[float, float]:
    """Largest change of the total energy, and of the kinetic energy, in eV along a trajectory."""
    numbers, positions, _ = toy.chain(3)
    atoms = Atoms(numbers, positions, calculator=calculator)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(atoms, timestep=femtoseconds * units.fs)
    total, kinetic = [], []

    def record() -> None:
        total.append(atoms.get_total_energy())
        kinetic.append(atoms.get_kinetic_energy())

    dynamics.attach(record)
    dynamics.run(steps)
    return float(np.ptp(total)), float(np.ptp(kinetic))


def test_dynamics_conserve_energy(make_run):
    """Verlet's error falls as the square of the time step, here 0.7 % of the exchanged energy.

    On the pair potential under DeepSet X, which has a minimum where the data have it.
    """
    calculator = DeepSetCalculator(make_run(*DEEPSET_X), device="cpu")
    coarse, exchanged = drift(calculator, 0.5, 100)
    fine, _ = drift(calculator, 0.25, 200)
    assert coarse < 0.02 * exchanged
    assert fine < 0.35 * coarse  # 1/4 but for float32 rounding


@pytest.mark.parametrize(
    "overrides",
    [DEEPSET_X, DEEPSET_X_2, SCHNET, VISNET],
    ids=["deepset_x", "deepset_x_2", "schnet", "visnet"],
)
def test_other_networks(make_run, atoms, overrides):
    """Central differences, as above; what is trained is what is loaded."""
    run = make_run(*overrides)
    trained = load_trained(run, "cpu")
    energy, *_ = predict(trained.potential, trained.tables(frame_of(atoms), 1), 1)
    atoms.calc = DeepSetCalculator(run, device="cpu", precision="float64")
    reference = trained.reference(frame_of(atoms))[0]
    assert atoms.get_potential_energy() - reference == pytest.approx(energy.item(), abs=1e-4)
    forces, h = atoms.get_forces(), 1e-5
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.positions[2, 1] += sign * h
        energies.append(moved.get_potential_energy())
    assert -(energies[0] - energies[1]) / (2 * h) == pytest.approx(forces[2, 1], abs=1e-7)


def test_several_seeds_disagree(runs, atoms):
    members = [DeepSetCalculator(run) for run in runs]
    energies = [member.get_potential_energy(atoms) for member in members]
    forces = [member.get_forces(atoms) for member in members]
    atoms.calc = DeepSetCalculator(runs)
    assert atoms.get_potential_energy() == pytest.approx(np.mean(energies), rel=1e-14)
    np.testing.assert_allclose(atoms.get_forces(), np.mean(forces, axis=0), atol=1e-12)
    results = atoms.calc.results
    # The sample standard deviation of two numbers is |a - b| / sqrt(2).
    assert results["energy_uncertainty"] == pytest.approx(abs(np.subtract(*energies)) / 2**0.5)
    np.testing.assert_allclose(
        results["forces_uncertainty"], np.abs(np.subtract(*forces)) / 2**0.5, atol=1e-12
    )
    assert "energy_uncertainty" not in members[0].results


def test_moved_and_single_atoms(runs, atoms):
    atoms.calc = DeepSetCalculator(runs[0])
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.translate([1000.0, 0.0, 0.0])
    # The distances are computed in float64: 1000 angstrom cost 1e-13 of them.
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-5)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-4)
    alone = Atoms("C", calculator=atoms.calc)
    with pytest.warns(UserWarning, match=r"^C: absolute energy"):
        assert np.isfinite(alone.get_potential_energy())
    np.testing.assert_array_equal(alone.get_forces(), np.zeros((1, 3)))


def test_what_it_cannot_calculate_is_said_in_one_line(runs, atoms):
    calculator = DeepSetCalculator(runs[0])
    with pytest.raises(UserError, match=r"atomic number 8 was not in training; .* knows 1, 6"):
        Atoms("OH", [[0, 0, 0], [0, 0, 1]], calculator=calculator).get_potential_energy()
    together = Atoms("CH2", [[0, 0, 0], [0, 0, 1], [0, 0, 1]], calculator=calculator)
    with pytest.raises(UserError, match="two atoms are at one place"):
        together.get_potential_energy()
    with pytest.raises(UserError, match="no atoms"):
        Atoms(calculator=calculator).get_potential_energy()


def test_a_run_with_every_second_edge_knows_no_cells(make_run, atoms):
    atoms.calc = DeepSetCalculator(make_run("condition.edges=every_second"))
    atoms.pbc, atoms.cell = True, np.eye(3) * 20
    with pytest.raises(UserError, match="knows no periodic cells"):
        atoms.get_potential_energy()


def crowd(pbc: bool) -> Atoms:
    """16 units of CH2 at random in a cube, or 4 in a cell; atoms come and go at the cutoff."""
    n = 4 if pbc else 16
    side = 6.0 if pbc else 12.0
    positions = toy.random_molecule(3 * n, seed=5, box=side - 0.9, apart=1.1).positions
    return Atoms(np.repeat([6, 1], [n, 2 * n]), positions, cell=side * np.eye(3) * pbc, pbc=pbc)


def assert_is_what_a_new_calculator_says(run: Path, atoms: Atoms) -> None:
    new = atoms.copy()
    new.calc = DeepSetCalculator(run, device="cpu", precision="float64", compile=False)
    # In float64 sums in another order differ by far less.
    assert atoms.get_potential_energy() == pytest.approx(new.get_potential_energy(), abs=1e-8)
    np.testing.assert_allclose(atoms.get_forces(), new.get_forces(), atol=1e-8)
    if atoms.pbc.all():
        np.testing.assert_allclose(atoms.get_stress(), new.get_stress(), atol=1e-8)


@pytest.mark.parametrize("pbc", [False, True], ids=["48 atoms", "a cell"])
def test_atoms_that_are_changed_in_place_get_other_neighbours(runs, pbc):
    atoms = crowd(pbc)
    atoms.calc = DeepSetCalculator(runs[0], device="cpu", precision="float64", compile=False)
    atoms.get_potential_energy()
    atoms.positions *= 0.8
    assert_is_what_a_new_calculator_says(runs[0], atoms)
    for scale in (1.2, 0.9, 0.7):
        if pbc:
            atoms.set_cell(scale * atoms.cell, scale_atoms=True)
        else:
            atoms.positions *= scale
        assert_is_what_a_new_calculator_says(runs[0], atoms)
    atoms.rattle(0.5, seed=1)
    assert_is_what_a_new_calculator_says(runs[0], atoms)
    atoms.pbc = [pbc, False, False]
    assert_is_what_a_new_calculator_says(runs[0], atoms)


@pytest.mark.parametrize("pbc", [False, True], ids=["48 atoms", "a cell"])
def test_dynamics_and_relaxation_meet_new_neighbours(runs, pbc):
    atoms = crowd(pbc)
    atoms.calc = DeepSetCalculator(runs[0], device="cpu", precision="float64", compile=False)
    MaxwellBoltzmannDistribution(atoms, temperature_K=3000, rng=np.random.default_rng(0))
    begun = atoms.positions.copy()
    for _ in range(3):
        VelocityVerlet(atoms, timestep=units.fs).run(15)
        assert_is_what_a_new_calculator_says(runs[0], atoms)
    assert np.linalg.norm(atoms.positions - begun, axis=1).max() > 2  # farther than SKIN
    if pbc:
        BFGS(FrechetCellFilter(atoms), logfile=None).run(steps=5)
    else:
        BFGS(atoms, logfile=None).run(steps=5)
    assert_is_what_a_new_calculator_says(runs[0], atoms)


def test_a_molecule_after_a_crystal_of_as_many_atoms_has_pairs_of_its_own(runs):
    calculator = DeepSetCalculator(runs[0], device="cpu", precision="float64", compile=False)
    crystal = crowd(pbc=True)
    molecule = crystal.copy()
    molecule.pbc, molecule.cell = False, None
    for atoms in (molecule, crystal, molecule, crystal):
        atoms.calc = calculator
        assert_is_what_a_new_calculator_says(runs[0], atoms)


def refused(atoms: Atoms, how: str) -> Atoms:
    """The atoms, made such as no run of theirs knows."""
    if how == "charge":
        atoms.info["charge"] = 1
    elif how == "charges":
        atoms.set_initial_charges([1 / 9] * 9)
    elif how == "spin":
        atoms.info["spin"] = 1.5
    elif how == "element":
        atoms.numbers[-1] = 9
    elif how == "fewer":
        del atoms[-1]
        atoms.numbers[-1] = 9
    elif how == "none":
        del atoms[:]
    elif how == "two places":
        atoms.positions[1] = atoms.positions[0]
    else:
        atoms.positions[1, 1] = float(how)
    return atoms


@pytest.mark.parametrize(
    "how", ["charge", "charges", "spin", "element", "fewer", "none", "two places", "nan", "inf"]
)
def test_what_is_refused_is_refused_again(runs, atoms, how):
    calculator = DeepSetCalculator(runs[0], device="cpu", compile=False)
    energy = calculator.get_potential_energy(atoms)
    other = refused(atoms.copy(), how)
    for _ in range(3):
        with pytest.raises(UserError):
            calculator.get_potential_energy(other)
        with pytest.raises(UserError):
            calculator.calculate(other)
        assert calculator.results == {}
    assert calculator.get_potential_energy(atoms) == energy


@pytest.mark.parametrize("pbc", [False, True], ids=["48 atoms", "a cell"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_places_that_are_no_numbers_leave_no_neighbours_behind(runs, pbc, value):
    atoms, calculator = crowd(pbc), DeepSetCalculator(runs[0], precision="float64", compile=False)
    atoms.calc = calculator
    atoms.get_potential_energy()
    positions = atoms.positions.copy()
    for _ in range(2):
        atoms.positions[3] = value
        with pytest.raises(UserError, match="finite"):
            atoms.get_potential_energy()
    atoms.positions[:] = positions
    assert_is_what_a_new_calculator_says(runs[0], atoms)


def ch5() -> Atoms:
    """A composition that is no multiple of C3H6, with an odd number of electrons."""
    directions = np.vstack([np.eye(3), -np.eye(3)])[:5]
    return Atoms("CH5", np.vstack([np.zeros(3), directions]))


def warned(atoms: Atoms, calculator: DeepSetCalculator, times: int = 1) -> list[str]:
    """What is said while energies of moving atoms are asked for."""
    atoms.calc = calculator
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(times):
            atoms.rattle(0.01)
            atoms.get_potential_energy()
    return [str(warning.message) for warning in caught]


def test_a_composition_that_the_reference_cannot_know_is_said_once(runs, atoms):
    calculator = DeepSetCalculator(runs)
    assert warned(atoms, calculator) == []
    assert warned(Atoms("C2H4", atoms.positions[[0, 1, 3, 4, 5, 6]]), calculator) == []  # C3H6 2/3
    said = warned(ch5(), calculator, times=3)
    assert said[0] == (
        "CH5: absolute energy undetermined, because the composition is not a linear combination "
        "of the training compositions: use energy differences within the molecule alone"
    )
    assert [line for line in said if "absolute energy" in line] == said[:1]
    assert len(warned(Atoms("C"), calculator)) == 1  # another composition is another matter


def test_what_a_mean_energy_knows(make_run, atoms):
    calculator = DeepSetCalculator(make_run("reference=molecule_mean"))
    assert warned(atoms, calculator) == []
    (line,) = warned(Atoms("C2H4", atoms.positions[[0, 1, 3, 4, 5, 6]]), calculator)
    assert line.startswith("C2H4: ")


def test_a_checkpoint_that_does_not_hold_its_molecules(runs, atoms, tmp_path, monkeypatch):
    """As those of version 0.1.0: its data tell as long as they are there, else its rank does."""
    folder = shutil.copytree(runs[0], tmp_path / "old")
    best = torch.load(folder / "best.pt", weights_only=True)
    del best["reference"]["molecules"]
    torch.save(best, folder / "best.pt")
    assert len(warned(atoms, DeepSetCalculator(folder))) == 1  # without data: better said than not
    monkeypatch.setenv("BENCH_DATA", str(runs[0].parents[4] / "data"))
    assert warned(atoms, DeepSetCalculator(folder)) == []
    assert len(warned(Atoms("C"), DeepSetCalculator(folder))) == 1


def test_charge_and_spin_that_training_did_not_have(runs, atoms):
    calculator = DeepSetCalculator(runs)
    atoms.info["charge"] = 0
    assert warned(atoms, calculator) == []
    atoms.info["spin"] = 3
    (line,) = warned(atoms, calculator, times=2)
    assert "C3H6: a spin multiplicity of 3 was not in training" in line
    del atoms.info["spin"]
    atoms.set_initial_magnetic_moments([1.0, 1.0, *[0.0] * 7])
    assert warned(atoms, DeepSetCalculator(runs[0])) == [line]
    for charged in ({"charge": 1}, {"total_charge": 1.0}, {}):
        atoms.info = charged
        atoms.set_initial_magnetic_moments(None)
        if not charged:
            atoms.set_initial_charges([1 / 9] * 9)
        with pytest.raises(UserError, match=r"charge \+1, and .* on charge 0 only"):
            atoms.get_potential_energy()
    atoms.set_initial_charges([0.1, -0.1, *[0.0] * 7])  # partial charges of a neutral molecule
    assert warned(atoms, calculator) == []
    atoms.info["charge"] = 0.5
    with pytest.raises(UserError, match=r"atoms.info\['charge'\] is 0.5, not a whole number"):
        atoms.get_potential_energy()


def test_a_run_of_cations_takes_cations(make_run, atoms):
    home = make_run().parents[4]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(home / "data"))
        ions = toy.frames(3, 240)
        charged = replace(ions, charge=np.ones(240), molecule=np.full(240, "c3h6+"))
        catalogue.register("ions", charged, {"method": "analytic"})
    calculator = DeepSetCalculator(make_run("data=ions"))
    assert warned(atoms, calculator) == []  # nothing is said of a charge: that of training
    atoms.info["charge"] = 1
    assert warned(atoms, calculator) == []
    atoms.info["charge"] = 0
    with pytest.raises(UserError, match=r"charge 0, and .* on charge \+1 only"):
        atoms.get_potential_energy()


def test_mps_is_not_chosen_and_is_refused(runs, atoms, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    calculator = DeepSetCalculator(runs[0])
    assert calculator.ensemble.members[0].potential.species.device.type == "cpu"
    with pytest.raises(UserError, match="device=mps has no float64"):
        DeepSetCalculator(runs[0], device="mps")
    monkeypatch.setattr(ensemble, "INEXACT", ("cpu",))
    with pytest.raises(UserError, match="device=cpu has no float64"):
        ensemble.Ensemble(runs, "cpu", "float64")


def test_runs_must_be_seeds_of_one_experiment(make_run, runs):
    with pytest.raises(UserError, match="differ in scalars"):
        DeepSetCalculator([*runs, make_run("scalars=cub_sqrt")])
    with pytest.raises(UserError, match="differ in"):
        DeepSetCalculator([*runs, make_run(*SCHNET)])
    with pytest.raises(UserError, match="are the same run, seed-1; name each seed once"):
        DeepSetCalculator([*runs, runs[1]])
    with pytest.raises(UserError, match="at least one"):
        DeepSetCalculator([])
    with pytest.raises(UserError, match="float32, float64"):
        DeepSetCalculator(runs, precision="half")


def damaged(run: Path, to: Path, **files: bytes) -> Path:
    """A copy of a run with some files replaced; empty contents remove the file."""
    to.mkdir()
    for name in ("config.yaml", "best.pt"):
        content = files.get(name.split(".")[0], (run / name).read_bytes())
        if content:
            (to / name).write_bytes(content)
    return to


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config": b""}, "config.yaml: no such file; name the folder of a trained run"),
        ({"best": b""}, "best.pt: no such checkpoint"),
        ({"best": b"no tensors"}, "best.pt: not a readable checkpoint"),
        ({"config": b"a: [1"}, "config.yaml: cannot be read"),
        ({"config": b"- 1"}, "not a mapping"),
        ({"config": b"seed: zero"}, "not a configuration of this version"),
    ],
)
def test_a_damaged_run_is_said_in_one_line(runs, tmp_path, files, message):
    folder = damaged(runs[0], tmp_path / "copy", **files)
    with pytest.raises(UserError, match=message) as error:
        load_trained(folder)
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_does_not_fit_is_said_in_one_line(runs, tmp_path):
    config = (runs[0] / "config.yaml").read_bytes().replace(b"width: 16", b"width: 32")
    with pytest.raises(UserError, match=r"best.pt: does not fit config.yaml"):
        load_trained(damaged(runs[0], tmp_path / "wide", config=config))
    torch.save({"potential": {}}, tmp_path / "other.pt")
    best = (tmp_path / "other.pt").read_bytes()
    with pytest.raises(UserError, match=r"best.pt: does not fit config.yaml"):
        load_trained(damaged(runs[0], tmp_path / "other", best=best))


def test_any_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match=r"config.yaml: no such file"):
        DeepSetCalculator(tmp_path / "nowhere")
