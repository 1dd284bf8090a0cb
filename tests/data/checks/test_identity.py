"""Molecules and names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.data import catalogue
from deepset_bench.data.checks.identity import identity, molecule_named, name_of, parse
from deepset_bench.data.checks.subject import Subject
from deepset_bench.errors import UserError
from tests import toy
from tests.data.checks.cases import clean, reordered, turned

pytest.importorskip("rdkit")


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
    found = identity(Subject(toy.frames(3, 1)))
    assert found.verdict == "suspect"
    assert "no closed-shell molecule" in found.text


def test_what_is_no_smiles_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="neither a SMILES string nor a name"):
        identity(Subject(clean(5), smiles="buten?"))


def test_without_rdkit_the_check_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rdkit.Chem", None)
    found = identity(Subject(clean(5), "x"))
    assert found.verdict == "not run"
    assert "deepset-bench[generate]" in found.text


stems = st.sampled_from(["but", "pent", "hex", "hept", "oct"])
separators = st.sampled_from(["-", "_", ""])
around = st.sampled_from(["{}", "my {}", "{}-pos-1", "trans_{}", "{}_300K", "rmd17_{}", "{}.v2"])


@given(stems, st.integers(1, 3), separators, around, st.booleans())
@settings(max_examples=60, deadline=None)
def test_names_of_alkenes(stem: str, locant: int, gap: str, words: str, old: bool) -> None:
    n = {"but": 4, "pent": 5, "hex": 6, "hept": 7, "oct": 8}[stem]
    name = f"{locant}-{stem}ene" if old else f"{stem}{gap}{locant}{gap}ene"
    found = molecule_named(words.format(name))
    assert found is not None
    expected = parse("C" * locant + "=" + "C" * (n - locant))
    assert found[1] == {expected}
    assert molecule_named(name_of(expected))[1] == {expected}  # type: ignore[index]


@pytest.mark.parametrize(
    "text", ["mine", "2-methylbut-2-ene", "chlorobenzene", "butane-1,4-diol", "nitroethane", "x"]
)
def test_names_that_are_not_known(text: str) -> None:
    assert molecule_named(text) is None
