"""Elements against bonds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deepset_bench.checks.bonded_elements import elements
from deepset_bench.checks.subject import Subject
from tests.checks.cases import A, clean, joined, of_smiles


@pytest.mark.parametrize("wrong", [7, 8])
@pytest.mark.parametrize("atom", [0, 1])
def test_a_carbon_that_bears_hydrogen_is_no_other_element(wrong: int, atom: int) -> None:
    frames = clean(40)
    numbers = frames.numbers.copy()
    numbers[atom::A] = wrong
    found = elements(Subject(replace(frames, numbers=numbers)))
    assert (found.verdict, found.atoms) == ("defect", (atom,))
    assert "as those of C are" in found.text
    assert elements(Subject(frames)).verdict == "ok"


def test_a_label_that_is_wrong_in_some_frames() -> None:
    frames = clean(10)
    numbers = frames.numbers.copy()
    numbers[3::A] = 7
    found = elements(Subject(joined(clean(90, first=10), replace(frames, numbers=numbers))))
    assert found.verdict == "defect"
    assert found.frames == tuple(range(90, 100))


@pytest.mark.parametrize(("charge", "verdict"), [(0, "suspect"), (1, "ok")])
@pytest.mark.parametrize("smiles", ["[NH4+]", "[OH3+]", "C[NH3+]"])
def test_one_neighbour_too_many_is_an_ion(smiles: str, charge: int, verdict: str) -> None:
    frames = replace(of_smiles(smiles, 40), charge=np.full(40, charge))
    assert elements(Subject(frames)).verdict == verdict


@pytest.mark.parametrize(
    "smiles",
    ["NCC(=O)O", "[NH3+]CC(=O)[O-]", "C[N+](=O)[O-]", "CS(C)=O", "O.O", "O=CO.N", "CP", "CS"],
)
def test_usual_bonds(smiles: str) -> None:
    assert elements(Subject(of_smiles(smiles, 40))).verdict == "ok"


def test_few_frames_say_nothing_of_lengths() -> None:
    assert elements(Subject(of_smiles("C=C", 1, noise=0.08))).verdict == "ok"


def test_atoms_closer_than_any_bond() -> None:
    """Hydrogens labelled as carbon."""
    frames = clean(20)
    numbers = frames.numbers.copy()
    numbers[5::A] = 6
    found = elements(Subject(replace(frames, numbers=numbers)))
    assert found.verdict == "defect"
    assert "closer than any bond" in found.text
