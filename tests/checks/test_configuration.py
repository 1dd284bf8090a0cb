"""Cis and trans: as a SMILES string or a name says, or as most frames are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from deepset_bench.checks.configuration import configuration
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.smiles import read_smiles
from tests.checks.cases import clean, joined, of_smiles, permuted, reordered

TRANS, CIS = "C/C=C/C", "C/C=C\\C"


@pytest.mark.parametrize(
    ("said", "verdict"),
    [(TRANS, "defect"), ("trans-but-2-ene", "defect"), ("(E)-but-2-ene", "defect"),
     ("CC=CC", "suspect"), ("but-2-ene", "suspect"), (None, "suspect")],
)  # fmt: skip
@pytest.mark.parametrize("order", [reordered, permuted])
def test_one_frame_in_twenty_on_the_other_side(
    said: str | None, verdict: str, order: Callable[[Frames, int], Frames]
) -> None:
    both = order(joined(of_smiles(TRANS, 57), of_smiles(CIS, 3)), 0)
    found = configuration(Subject(both, smiles=said))
    assert (found.verdict, found.frames) == (verdict, (57, 58, 59))
    assert found.number == pytest.approx(0.05)
    assert "5.0% of the frames (first frame 57) are cis" in found.text


def test_all_frames_on_the_other_side() -> None:
    frames = of_smiles(CIS, 40)
    assert configuration(Subject(frames, smiles=TRANS)).verdict == "defect"
    assert configuration(Subject(frames, "cis-but-2-ene")).verdict == "ok"
    assert configuration(Subject(frames)).verdict == "ok"


def test_half_and_half_without_a_word_is_a_mixture_on_purpose() -> None:
    both = joined(of_smiles(TRANS, 30), of_smiles(CIS, 30))
    assert configuration(Subject(both)).verdict == "ok"


def test_a_bond_that_turns_is_on_neither_side() -> None:
    found = configuration(Subject(clean(6000), "trans-but-2-ene"))
    assert found.verdict == "ok"
    assert "turns" in found.text


@pytest.mark.parametrize("smiles", ["CCO", "C=C", "CC(C)=C", "c1ccccc1", "C1CCC=CC1", "C=CC"])
def test_no_two_sides(smiles: str) -> None:
    assert configuration(Subject(of_smiles(smiles, 5))).verdict == "not run"


@pytest.mark.parametrize("smiles", ["C/C=C/C=C\\C", "F/C=N/O", "CC(/C=C/Cl)=O", "C/N=N/C"])
def test_several_and_other_double_bonds(smiles: str) -> None:
    frames = of_smiles(smiles, 5)
    assert configuration(Subject(reordered(frames, 1), smiles=smiles)).verdict == "ok"
    turned = smiles[::-1].replace("/", "?").replace("\\", "/").replace("?", "\\")
    if set(turned) <= set("CN=/\\"):
        assert configuration(Subject(frames, smiles=turned)).verdict == "ok"


@pytest.mark.parametrize(
    ("smiles", "sides"),
    [("C/C=C/C", [True]), ("C\\C=C\\C", [True]), ("C/C=C\\C", [False]), ("C(\\C)=C/C", [True]),
     ("F/C=C/C=C\\F", [True, False]), ("CC=CC", [])],
)  # fmt: skip
def test_slashes(smiles: str, sides: list[bool]) -> None:
    """As Weininger has it: / before a double bond has the atom before it below, \\ above."""
    assert list(read_smiles(smiles).trans.values()) == sides


def test_frames_that_are_broken_are_on_no_side() -> None:
    frames = of_smiles(TRANS, 40)
    positions = frames.positions.reshape(40, -1, 3).copy()
    positions[5, 3] += 8.0
    torn = replace(frames, positions=positions.reshape(-1, 3))
    assert configuration(Subject(torn, smiles=TRANS)).verdict == "ok"
