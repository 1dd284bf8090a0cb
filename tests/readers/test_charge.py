"""Charge and spin go with the frames, to the files and to GFN-xTB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from tests import toy

WATER = np.array([8, 1, 1])
GEOMETRY = np.array([[0.0, 0.0, 0.1], [0.8, 0.0, -0.5], [-0.75, 0.1, -0.45]])


def neutral(n_frames: int) -> Frames:
    one = toy.geometry(WATER, GEOMETRY)
    return Frames.concatenate([one] * n_frames)


def charged(charge: int, spin: int) -> Frames:
    frames = neutral(3)
    return replace(frames, charge=np.full(3, charge), spin=np.full(3, spin))


def test_frames_are_neutral_unless_they_say_otherwise() -> None:
    frames = neutral(2)
    assert frames.charge.tolist() == frames.spin.tolist() == [0, 0]


def test_charge_and_spin_survive_selection_joining_and_the_disk(tmp_path: Path) -> None:
    frames = Frames.concatenate([charged(1, 2), neutral(2)]).select([0, 4, 1])
    assert frames.charge.tolist() == [1, 0, 1]
    assert frames.spin.tolist() == [2, 0, 2]
    frames.save(tmp_path / "frames.npz")
    loaded = Frames.load(tmp_path / "frames.npz")
    assert loaded.charge.tolist() == [1, 0, 1]
    assert loaded.spin.tolist() == [2, 0, 2]


def test_a_neutral_set_has_the_bytes_it_had_before_there_were_charges(tmp_path: Path) -> None:
    neutral(2).save(tmp_path / "frames.npz")
    with np.load(tmp_path / "frames.npz") as stored:
        assert not {"charge", "spin"} & set(stored.files)


@pytest.mark.parametrize(("charge", "spin"), [(0, 2), (1, 1), (1, 3), (0, -1), (9, 4)])
def test_a_multiplicity_must_suit_the_electrons(charge: int, spin: int) -> None:
    assert WATER.sum() == 10
    with pytest.raises(UserError, match=rf"no spin multiplicity of {spin}"):
        charged(charge, spin)


@pytest.mark.parametrize(("charge", "spin"), [(1, 0), (1, 2), (0, 0), (0, 3)])
def test_the_method_computes_with_charge_and_spin(charge: int, spin: int) -> None:
    pytest.importorskip("tblite")
    from deepset_bench.molecules.xtb import relabel

    frames = charged(charge, spin).select([0])
    singlet = relabel(charged(0, 1).select([0]))
    labelled = relabel(frames)
    assert labelled.charge.tolist() == [charge]
    apart = abs(labelled.energy[0] - singlet.energy[0])
    assert (apart > 1.0) == bool(charge or spin)


@pytest.mark.parametrize(("smiles", "charge", "spin"), [("[OH3+]", 1, 0), ("[CH3]", 0, 2)])
def test_ions_and_radicals_are_generated_as_what_they_are(
    smiles: str, charge: int, spin: int
) -> None:
    pytest.importorskip("tblite")
    pytest.importorskip("rdkit")
    from deepset_bench.generation.recipe import Recipe
    from deepset_bench.generation.trajectories import generate

    frames, _ = generate("it", Recipe(smiles=smiles, sampling="md", frames=2, interval=1))
    assert frames.charge.tolist() == [charge] * 2
    assert frames.spin.tolist() == [spin] * 2
