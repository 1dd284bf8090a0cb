"""Generated trajectories: repeatable, labelled at the recorded geometry, whole or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepset_bench.errors import UserError
from deepset_bench.generation import trajectories as module
from deepset_bench.generation.recipe import Recipe
from deepset_bench.generation.simulation import bias_of
from deepset_bench.generation.trajectories import generate
from deepset_bench.molecules.bias import Umbrella, torsion
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.xtb import XTB

pytest.importorskip("tblite")
pytest.importorskip("rdkit")

BUTENE = "C/C=C/C"


@pytest.mark.parametrize("sampling", ["md", "metadynamics", "umbrella"])
def test_same_seed_same_bytes_and_labels_of_the_recorded_geometry(
    sampling: str, tmp_path: Path
) -> None:
    recipe = Recipe(
        "C=C",
        frames=5,
        sampling=sampling,
        interval=5.0,
        hill_height=0.1,
        hill_interval=1.0,
        window_strength=1.0,
    )
    for path in (tmp_path / "a.npz", tmp_path / "b.npz"):
        frames, temperature = generate("ethene", recipe)
        frames.save(path)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert temperature.shape == (5,)
    assert frames.index.tolist() == [0, 1, 2, 3, 4]
    assert frames.bias_forces is not None
    assert (np.abs(frames.bias_forces[-6:]).max() > 1e-6) == (sampling != "md")
    potential = XTB(frames.numbers[:6], "gfn1", recipe.electronic_temperature)
    energy, forces = potential(frames.positions[-6:])
    assert energy == frames.energy[-1]
    assert np.array_equal(forces, frames.forces[-6:])


@pytest.mark.parametrize("sampling", ["md", "metadynamics", "umbrella"])
def test_an_interrupted_trajectory_goes_on_to_the_same_bytes(
    sampling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", -1.0)
    recipe = Recipe("C=C", 6, sampling, interval=2.0, hill_height=0.1, hill_interval=1.5, windows=5)
    whole, temperature = generate("ethene", recipe)

    def interrupt(done: int, total: int) -> None:
        seen.append(done)
        if done == 4:
            raise KeyboardInterrupt

    checkpoint, seen = tmp_path / "folder" / "ethene.npz", []  # type: ignore[var-annotated]
    with pytest.raises(KeyboardInterrupt):
        generate("ethene", recipe, interrupt, checkpoint=checkpoint)
    for rest in ([4, 5, 6], [6]):  # what was left, and then nothing
        seen.clear()
        again = generate("ethene", recipe, lambda *done: seen.append(done[0]), False, checkpoint)
        assert seen == rest
        assert again[1].tobytes() == temperature.tobytes()
        for label in ("positions", "energy", "forces", "bias_forces"):
            assert getattr(again[0], label).tobytes() == getattr(whole, label).tobytes()


@pytest.mark.parametrize("keys", [None, (), ("energy",)])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, keys: tuple[str, ...] | None) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK")
    if keys is not None:
        np.savez(tmp_path / "x.npz", **{key: np.zeros(1) for key in keys})
    with pytest.raises(UserError, match=r"x\.npz: is damaged .*delete it"):
        generate("x", Recipe("C=C", 2, sampling="md"), checkpoint=tmp_path / "x.npz")


def test_another_seed_another_trajectory() -> None:
    a, b = (generate("x", Recipe("C=C", 2, seed=seed, interval=1.0))[0] for seed in (0, 1))
    assert np.abs(a.positions - b.positions).max() > 1e-3


def test_a_broken_molecule_stops_the_run_unless_asked_to_go_on() -> None:
    recipe = Recipe("C=C", 12, sampling="md", temperature=30000.0, friction=1.0, interval=5.0)
    with pytest.raises(UserError, match=r"^hot frame \d+: .*--allow-broken$"):
        generate("hot", recipe)
    assert len(generate("hot", recipe, allow_broken=True)[0]) == 12


def test_damage_is_a_stretched_bond_or_a_new_contact() -> None:
    ethene = Molecule.from_smiles("C=C", 0)
    start = ethene.positions
    assert ethene.damage(start, start) is None
    stretched = start.copy()
    stretched[0] += 3 * (start[0] - start[1])
    assert "times its first length" in str(ethene.damage(stretched, start))
    touching = start.copy()
    first, second = ethene.neighbours(0, 1)
    touching[first] += 0.7 * (start[second] - start[first])
    assert "come within bonding distance" in str(ethene.damage(touching, start))
    across = Molecule.from_smiles("C12CC(C1)C2", 0)  # bicyclo[1.1.1]pentane: 1.85 angstrom
    assert across.damage(0.95 * across.positions, across.positions) is None


def test_torsions_across_the_double_bond() -> None:
    butene = Molecule.from_smiles(BUTENE, 0)
    chain, other = butene.torsions_across()
    assert chain == (0, 1, 2, 3)
    assert [butene.numbers[i] for i in other] == [1, 6, 6, 1]
    assert [abs(torsion(butene.positions, t)[0]) for t in (chain, other)] == pytest.approx(
        [np.pi, np.pi], abs=0.1
    )
    hydrogens_first = butene.torsions_across(other)
    assert hydrogens_first == (other, chain)


def test_a_torsion_about_a_single_bond_has_nothing_tied_to_it() -> None:
    assert Molecule.from_smiles("CCCC", 0).torsions_across((0, 1, 2, 3)) == ((0, 1, 2, 3), None)


def test_windows_of_two_torsions_visit_the_grid_from_neighbour_to_neighbour() -> None:
    recipe = Recipe(
        "C/C=C/CC", 60, "umbrella", windows=4, torsions=((0, 1, 2, 3), (1, 2, 3, 4)), interval=1.0
    )
    bias = bias_of(recipe, Molecule.from_smiles(recipe.smiles, 0))
    assert isinstance(bias, Umbrella)
    assert bias.centres.shape == (16, 2)
    assert len(np.unique(bias.centres.round(6), axis=0)) == 16
    steps = np.degrees(np.abs(np.diff(bias.centres, axis=0)))
    assert {tuple(row) for row in steps.round(6).tolist()} == {(0.0, 90.0), (60.0, 0.0)}
    assert bias.centres[0, 0] == np.pi
    assert bias.stride == 8


def test_umbrella_windows_turn_a_single_bond_once_around() -> None:
    chain = (2, 0, 1, 3)
    recipe = Recipe("OO", 60, "umbrella", "gfn2", windows=6, torsions=(chain,), interval=5.0)
    frames, _ = generate("hydrogen peroxide", recipe)
    angles = [torsion(p, chain)[0] for p in frames.positions.reshape(60, -1, 3)]
    assert np.ptp(np.unwrap(angles)) > np.radians(250)


@pytest.mark.parametrize(
    ("smiles", "chain", "message"),
    [
        ("CCC", None, "0 C=C bonds.*--sampling md"),
        ("C=CC=C", None, "2 C=C bonds.*--torsion"),
        (BUTENE, (0, 1, 2, 9), "not a torsion"),
        (BUTENE, (1, 0, 4, 5), "not a torsion"),
        ("C1=CCCCC1", None, "0 C=C bonds"),
        ("C=C=C", None, "2 C=C bonds"),
        ("C=C=C", (3, 0, 1, 2), "in a line"),
        ("CC#CC", (0, 1, 2, 3), "in a line"),
        ("CCCC", (0, 1, 3, 2), "not a torsion"),
        ("CCCC", (0, 1, 2, -1), "not a torsion"),
    ],
)
def test_no_torsion_to_drive(smiles: str, chain: tuple | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Molecule.from_smiles(smiles, 0).torsions_across(chain)


@pytest.mark.parametrize(
    ("smiles", "formula"),
    [("C[N+](=O)[O-]", "CH3NO2"), ("[H][H]", "H2"), ("B(O)(O)C", "CH5BO2"), ("Cl", "HCl")],
)
def test_neutral_molecules_of_any_elements(smiles: str, formula: str) -> None:
    assert Molecule.from_smiles(smiles, 0).formula == formula


@pytest.mark.parametrize("smiles", ["C=(", "", "[Na+]", "[Ar]", "C.C"])
def test_impossible_smiles(smiles: str) -> None:
    with pytest.raises(UserError):
        Molecule.from_smiles(smiles, 0)


def test_an_isotope_is_refused_and_not_taken_for_the_usual_mass() -> None:
    with pytest.raises(UserError, match="isotopes are not simulated"):
        Molecule.from_smiles("[2H]C([2H])([2H])[2H]", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling": "metadynamic"}, "did you mean metadynamics"),
        ({"sampling": "md", "torsions": ((0, 1, 2, 3),)}, "leave out --torsion"),
        ({"frames": 0}, "frames must be above 0"),
        ({"temperature": -1.0}, "temperature must not be negative"),
        ({"interval": 0.7}, "interval of 0.7 fs is not a multiple"),
        ({"hill_height": -1.0}, "hill_height must not be negative"),
        ({"tie": -1.0}, "tie must not be negative"),
        ({"window_strength": -1.0}, "window_strength must not be negative"),
        *(
            ({name: float(value)}, f"{name} must be a finite number, not {value}")
            for name in ("temperature", "friction", "timestep", "interval", "tie", "hill_width")
            for value in ("nan", "inf")
        ),
    ],
)
def test_impossible_recipes(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recipe(**{"smiles": BUTENE, "frames": 5, **change})
