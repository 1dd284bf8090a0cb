"""Lengths and forces in another unit than declared, from bond lengths and stiffness."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.checks import unit_sizes, work
from deepset_bench.checks.bond_sizes import stretches
from deepset_bench.checks.cheap import examine
from deepset_bench.checks.mistakes import energy_mistake, force_mistake, length_mistake, mending
from deepset_bench.checks.subject import Subject
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR, Units
from tests.checks.cases import clean, find, turned

BOHR = HARTREE / HARTREE_PER_BOHR
UNITS = (work.conservative, unit_sizes.bond_lengths, unit_sizes.force_scale)


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


@pytest.mark.parametrize(
    ("read", "true", "words"),
    [
        (
            Units(),
            Units("hartree", "angstrom", "hartree/bohr"),
            "--energy-unit hartree --force-unit hartree/bohr",
        ),
        (
            Units("hartree", "bohr"),
            Units("hartree", "angstrom", "hartree/bohr"),
            "--length-unit angstrom --force-unit hartree/bohr",
        ),
        (
            Units("hartree"),
            Units("hartree", "angstrom", "hartree/bohr"),
            "--force-unit hartree/bohr",
        ),
        (
            Units(),
            Units("kcal/mol"),
            "--energy-unit kcal/mol --force-unit kcal/mol/angstrom",
        ),
        (
            Units(),
            Units("hartree", "angstrom", "eV/angstrom"),
            "--energy-unit hartree --force-unit eV/angstrom",
        ),
        (Units("kJ/mol"), Units(), "--energy-unit eV --force-unit eV/angstrom"),
        (
            Units(),
            Units("hartree", "bohr"),
            "--energy-unit hartree --length-unit bohr --force-unit hartree/bohr",
        ),
    ],
)
def test_the_options_that_mend_a_unit_are_named_by_every_check(
    read: Units, true: Units, words: str
) -> None:
    frames = clean(100)
    mistaken = replace(
        frames,
        positions=frames.positions * read.length / true.length,
        energy=frames.energy * read.energy / true.energy,
        forces=frames.forces * read.force / true.force,
    )
    findings = examine(Subject(mistaken, read=read), UNITS)
    advice = [found.advice for found in findings if found.verdict == "defect"]
    assert advice
    assert {text.partition(" with ")[2] for text in advice} == {words}


def test_gradients_are_named_for_the_sign() -> None:
    frames = clean(100)
    findings = examine(Subject(replace(frames, forces=-frames.forces)), UNITS)
    advice = [found.advice for found in findings if found.verdict == "defect"]
    assert len(advice) == 2
    assert {text.partition(" with ")[2] for text in advice} == {"--gradients"}


def test_without_bonds_the_usual_units_are_named() -> None:
    words = "--energy-unit hartree --force-unit hartree/bohr"
    assert mending(Units(), HARTREE_PER_BOHR / HARTREE).endswith(words)
    assert "--force-unit" in mending(Units(), 7.7)


@pytest.mark.parametrize("mistake", [energy_mistake, force_mistake, length_mistake])
def test_no_mistake_near_one_and_no_name_far_from_all(mistake) -> None:
    assert mistake(1.1) is None
    assert mistake(0.9) is None
    assert str(mistake(1e7)) == "no unit explains it"
