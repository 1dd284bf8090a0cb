"""Molecules and names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.identity import identity
from deepset_bench.checks.intact import broken, connectivity
from deepset_bench.checks.kinds import one_charge, one_molecule
from deepset_bench.checks.subject import Subject
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.names import name_of, named
from deepset_bench.molecules.smiles import read_smiles
from tests import toy
from tests.checks.cases import A, clean, cubes, joined, of_smiles, permuted, reordered, turned


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("but-2-ene", "ok"),
        ("2-butene", "ok"),
        ("CC=CC", "ok"),
        ("C/C=C/C", "ok"),
        ("butene", "suspect"),
        ("but-1-ene", "defect"),
        ("pent-2-ene", "defect"),
        ("C1CCC1", "defect"),
        ("CCCC", "defect"),
    ],
)
def test_what_is_said_of_but_2_ene(said: str, verdict: str) -> None:
    found = identity(Subject(clean(20), smiles=said))
    assert found.verdict == verdict
    assert "but-2-ene, CC=CC" in found.text
    assert ("not " in found.text) == (verdict == "defect")


def test_the_name_of_the_set_counts_where_nothing_else_is_said() -> None:
    frames = catalogue.load("pent-2-ene").select(slice(0, 10))
    assert identity(Subject(frames, "mine")).verdict == "ok"
    renamed = replace(frames, molecule=np.full(10, "pent-1-ene-pos-1"))
    assert identity(Subject(renamed)).verdict == "defect"


@given(st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_turning_and_reordering_change_no_molecule(seed: int) -> None:
    frames = turned(reordered(clean(5, first=seed), seed), seed)
    assert identity(Subject(frames, smiles="but-2-ene")).verdict == "ok"


def test_a_molecule_without_closed_shells_is_no_molecule() -> None:
    """CH2-CH2-CH2 in a row: two radicals."""
    pytest.importorskip("rdkit")
    found = identity(Subject(toy.frames(3, 1)))
    assert found.verdict == "suspect"
    assert "no closed-shell molecule" in found.text


def test_a_proton_on_its_way_between_two_atoms_is_no_radical() -> None:
    """Half way between two waters; without one of their hydrogens nothing sound is near."""
    pytest.importorskip("rdkit")
    numbers = np.array([8, 1, 1, 8, 1, 1])
    places = [[0, 0, 0], [-0.3, 0.92, 0], [1.2, 0, 0], [2.4, 0, 0], [2.7, 0.9, 0], [2.7, -0.9, 0]]
    frames = Frames.unlabelled("set", numbers, np.array([places]))
    found = identity(Subject(frames, "set"))
    assert found.verdict == "ok"
    assert "in 1 frame a proton (atom 2) is between two atoms" in found.text
    carbon = replace(frames, numbers=np.array([8, 1, 1, 6, 1, 1]))
    found = identity(Subject(carbon, "set"))
    assert "proton" not in found.text


def test_what_is_no_smiles_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="neither a SMILES string nor a known name"):
        identity(Subject(clean(5), smiles="buten?"))


@pytest.mark.parametrize(("said", "verdict"), [("but-2-ene", "ok"), ("C=CCC", "defect")])
def test_elements_and_bonds_are_compared_without_rdkit(
    said: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rdkit.Chem", None)
    found = identity(Subject(clean(5), "x", smiles=said))
    assert found.verdict == verdict
    assert "but-2-ene, C4H8" in found.text


@pytest.mark.parametrize("said", ["but-2-ene", "CC=CC"])
def test_a_carbon_labelled_nitrogen_is_another_formula(said: str) -> None:
    frames = clean(20)
    numbers = frames.numbers.copy()
    numbers[1::A] = 7
    found = identity(Subject(replace(frames, numbers=numbers), smiles=said))
    assert found.verdict == "defect"
    assert "1 N too many, 1 C too few" in found.text


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("test1", "ok"),
        ("run-3", "ok"),
        ("CO", "ok"),
        ("butanoic-acid", "ok"),
        ("propene_oxide", "ok"),
        ("benzene_set", "defect"),
        ("toluene-300K-gfn1", "defect"),
        ("harrys-benzene", "suspect"),
        ("my but-2-ene", "ok"),
    ],
)
def test_a_name_counts_as_far_as_it_is_one(name: str, verdict: str) -> None:
    frames = clean(3)
    assert identity(Subject(replace(frames, molecule=np.full(3, "x")), name)).verdict == verdict
    assert identity(Subject(replace(frames, molecule=np.full(3, name)))).verdict == verdict


@pytest.mark.parametrize(("name", "verdict"), [("but-2-ene", "defect"), ("x", "ok")])
def test_one_frame_in_twenty_of_another_molecule(name: str, verdict: str) -> None:
    both = joined(clean(95), of_smiles("C=CCC", 5))
    found = identity(Subject(both, name))
    assert found.verdict == verdict
    if verdict == "defect":
        assert found.frames == tuple(range(95, 100))
        assert "5.0% of the frames (first frame 95) are but-1-ene" in found.text
    alike = one_molecule(Subject(both, name))
    assert (alike.verdict, alike.frames) == ("suspect", tuple(range(95, 100)))
    assert alike.number == pytest.approx(0.05)


def test_isomers_of_several_names_are_of_one_formula() -> None:
    frames = joined(of_smiles("CCO", 5), of_smiles("COC", 5), of_smiles("C", 5))
    frames = replace(frames, molecule=np.repeat(["ethanol", "ether", "methane"], 5))
    assert one_molecule(Subject(frames)).text == "3 molecules of 2 formulas"


@pytest.mark.parametrize("order", [reordered, permuted])
def test_another_molecule_is_found_in_any_order_of_atoms(
    order: Callable[[Frames, int], Frames],
) -> None:
    both = joined(order(of_smiles("CCO", 57), 1), order(of_smiles("COC", 3), 2))
    alike = one_molecule(Subject(both))
    assert (alike.verdict, alike.frames) == ("suspect", (57, 58, 59))
    assert "dimethyl ether, the others ethanol" in alike.text


def test_many_molecules_under_one_name_are_no_mistake() -> None:
    isomers = ["CCCCO", "CCC(C)O", "CC(C)CO", "CC(C)(C)O", "CCOCC", "CCCOC", "CC(C)OC"]
    both = joined(*(of_smiles(smiles, 3) for smiles in isomers))
    for check in (one_molecule, broken, connectivity):
        assert check(Subject(both)).verdict == "ok"


@pytest.mark.parametrize(("smiles", "charge"), [("[NH4+]", 1), ("[OH3+]", 1), ("CC(=O)[O-]", -1)])
def test_charges_are_those_of_the_smiles(smiles: str, charge: int) -> None:
    frames = of_smiles(smiles, 3)
    said = replace(frames, charge=np.full(3, charge))
    assert identity(Subject(said, smiles=smiles)).verdict == "ok"
    unsaid = identity(Subject(frames, smiles=smiles))
    assert (unsaid.verdict, f"--charge {charge}" in unsaid.advice) == ("suspect", True)
    assert identity(Subject(replace(frames, charge=np.full(3, 2)), smiles=smiles)).verdict != "ok"


@pytest.mark.parametrize(
    ("smiles", "charge", "spin"), [("[CH3]", 0, 2), ("[O][O]", 0, 3), ("[CH3+]", 1, 1), ("C", 0, 1)]
)
def test_multiplicities_are_those_of_the_smiles(smiles: str, charge: int, spin: int) -> None:
    formula = read_smiles(smiles)
    assert (formula.charge, formula.spin) == (charge, spin)
    if len(formula.numbers) < 2:
        return
    frames = replace(of_smiles(smiles, 3), charge=np.full(3, charge), spin=np.full(3, spin))
    assert identity(Subject(frames, smiles=smiles)).verdict == "ok"
    other = replace(frames, spin=np.full(3, spin + 2))
    assert identity(Subject(other, smiles=smiles)).verdict == "suspect"


@pytest.mark.parametrize("smiles", ["O.O", "C.O", "N.O"])
def test_two_molecules_in_a_frame(smiles: str) -> None:
    frames = of_smiles(smiles, 3)
    for name in ("x", "water_dimer", "methane-water", "ammonia in water", "O.O"):
        assert identity(Subject(frames, name)).verdict in ("ok", "defect")
    assert identity(Subject(frames, smiles=smiles)).verdict == "ok"
    assert identity(Subject(frames, smiles="O")).verdict == "defect"


stems = st.sampled_from(["but", "pent", "hex", "hept", "oct"])
separators = st.sampled_from(["-", "_", ""])
around = st.sampled_from(["{}", "my {}", "{}-pos-1", "trans_{}", "{}_300K", "rmd17_{}", "{}.v2"])


@given(stems, st.integers(1, 3), separators, around, st.booleans())
@settings(max_examples=25, deadline=None)
def test_names_of_alkenes(stem: str, locant: int, gap: str, words: str, old: bool) -> None:
    n = {"but": 4, "pent": 5, "hex": 6, "hept": 7, "oct": 8}[stem]
    name = f"{locant}-{stem}ene" if old else f"{stem}{gap}{locant}{gap}ene"
    found = named(words.format(name))
    assert found is not None
    assert found.alone
    formula = read_smiles("C" * locant + "=" + "C" * (n - locant))
    expected = formula.key
    assert [read_smiles(smiles).key for smiles in found.smiles] == [expected]
    again = named(name_of(formula.numbers, expected, 0))
    assert again is not None
    assert [read_smiles(smiles).key for smiles in again.smiles] == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "mine",
        "2-methylbut-2-ene",
        "chlorobenzene",
        "butane-1,4-diol",
        "nitroethane",
        "propene oxide",
        "x",
    ],
)
def test_names_that_are_not_known(text: str) -> None:
    assert named(text) is None


@pytest.mark.parametrize(
    ("charges", "spins", "verdict"),
    [((0, 0), (0, 0), "ok"), ((0, 1), (0, 0), "defect"), ((0, 0), (1, 3), "defect"),
     ((0, 0), (0, 1), "ok"), ((1, 1), (0, 0), "suspect"), ((1, 1), (2, 2), "ok")],
)  # fmt: skip
def test_one_charge_and_one_multiplicity(
    charges: tuple[int, int], spins: tuple[int, int], verdict: str
) -> None:
    frames = joined(clean(20), clean(20, first=20))
    said = replace(frames, charge=np.repeat(charges, 20), spin=np.repeat(spins, 20))
    found = one_charge(Subject(said))
    assert found.verdict == verdict
    if verdict == "defect":
        assert found.frames in (tuple(range(20)), tuple(range(20, 40)))


def test_a_lone_atom_may_have_an_odd_number_of_electrons() -> None:
    hydrogen = toy.geometry(np.array([1]), np.zeros((1, 3)))
    assert one_charge(Subject(joined(clean(20), hydrogen))).verdict == "ok"


def test_molecules_wrapped_into_a_cell_are_not_to_be_left_out() -> None:
    frames = clean(60)
    move = np.where(np.arange(60) % 5 == 0, 0.0, 4.0).repeat(12)[:, None]  # a fifth is whole
    centred = frames.positions - cubes(frames.positions).mean(axis=1).repeat(12, axis=0) + 4
    found = broken(Subject(replace(frames, positions=(centred + move) % 8)))
    assert found.verdict == "defect"
    assert found.advice.startswith("were the molecules wrapped")
    assert 'pbc="T T T"' in found.advice
    move[: 12 * 20], move[12 * 20 :] = 0.0, 4.0  # it falls apart and stays so
    found = broken(Subject(replace(frames, positions=(centred + move) % 8)))
    assert found.advice == "leave these frames out: --frames 1-20 has those before them"
