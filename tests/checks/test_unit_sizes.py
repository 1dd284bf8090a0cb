"""Lengths and forces in another unit than declared, from bond lengths and stiffness."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks.mistakes import energy_mistake, force_mistake, length_mistake
from deepset_bench.checks.subject import Subject
from deepset_bench.checks.unit_sizes import stretches
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR, Units
from tests.checks.cases import clean, find, turned

BOHR = HARTREE / HARTREE_PER_BOHR


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (BOHR, "forces per bohr read as per angstrom"),
        (1 / BOHR, "forces per angstrom read as per bohr"),
        (1 / HARTREE, "hartree read as eV"),
        (1 / HARTREE_PER_BOHR, "hartree/bohr read as eV/angstrom"),
        (1 / Units("kcal/mol").energy, "kcal/mol read as eV"),
        (1 / Units("kJ/mol").energy, "kJ/mol read as eV"),
    ],
)
def test_forces_in_another_unit(factor: float, words: str) -> None:
    frames = clean(100)
    found = find(replace(frames, forces=factor * frames.forces), "force unit")
    assert found.verdict == "defect"
    assert words in found.text
    assert found.number == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize(
    ("factor", "words"), [(1 / BOHR, "bohr read as angstrom"), (BOHR, "angstrom read as bohr")]
)
def test_lengths_in_another_unit(factor: float, words: str) -> None:
    frames = clean(40)
    found = find(replace(frames, positions=factor * frames.positions), "length unit")
    assert found.verdict == "defect"
    assert words in found.text


def test_the_sign_of_the_forces() -> None:
    frames = clean(100)
    found = find(replace(frames, forces=-frames.forces), "force unit")
    assert found.verdict == "defect"
    assert "wrong sign" in found.text


@given(st.floats(0.9, 1.1), st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_methods_differ_and_are_no_unit(factor: float, seed: int) -> None:
    frames = turned(clean(100, first=3000), seed)
    assert find(replace(frames, forces=factor * frames.forces), "force unit").verdict == "ok"


def test_force_constants_of_but_2_ene() -> None:
    (group,) = Subject(clean(400)).groups
    found = stretches(group)
    assert len(found) == 8
    for z, k, correlation in found:
        assert z == 6
        assert 27 < k < 34
        assert correlation < -0.9


@pytest.mark.parametrize("mistake", [energy_mistake, force_mistake, length_mistake])
def test_no_mistake_near_one_and_no_name_far_from_all(mistake) -> None:
    assert mistake(1.1) is None
    assert mistake(0.9) is None
    assert str(mistake(1e7)) == "no unit explains it"
