"""Which frames are evaluated, and which of them the runs have seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.evaluation.selection import _keys, select
from deepset_bench.evaluation.trained import load_trained
from deepset_bench.model.energy_reference import identified
from deepset_bench.molecules.frames import Frames
from tests import toy
from tests.training.tiny import run

BRIEF = ("trainer.epochs=1",)


def choose(*folders, overrides=()):
    return select(folders, [load_trained(f.path, "cpu") for f in folders], list(overrides))


@pytest.fixture
def seed_0(tiny):
    return run(*BRIEF).folder


@pytest.mark.usefixtures("tiny")
def test_by_default_the_runs_own_test_frames(seed_0):
    chosen = choose(seed_0)
    test = Split.load(seed_0.split).test
    np.testing.assert_array_equal(chosen.frames.index, test)  # of `tiny`, index is the row
    assert set(chosen.seen) == {"held out"}
    assert chosen.name == "tiny-test"
    assert chosen.identified.all()
    assert chosen.notes == [
        "0 of 7 frames (0 %) are training frames of the run, 0 are validation frames"
    ]


def test_of_several_seeds_what_none_has_seen(seed_0):
    seed_1 = run(*BRIEF, "seed=1").folder
    chosen = choose(seed_0, seed_1)
    splits = [Split.load(folder.split) for folder in (seed_0, seed_1)]
    used = {row for s in splits for row in (*s.train, *s.val)}
    expected = {row for s in splits for row in s.test} - used
    assert expected  # else nothing is tested
    assert set(chosen.frames.index) == expected
    assert set(chosen.seen) == {"held out"}


@pytest.mark.usefixtures("tiny")
def test_frames_of_training_are_counted(seed_0):
    split = Split.load(seed_0.split)
    everything = choose(seed_0, overrides=["data=tiny"])
    assert everything.name == "tiny"
    assert (everything.seen == "train").nonzero()[0].tolist() == sorted(split.train)
    assert (everything.seen == "val").nonzero()[0].tolist() == sorted(split.val)
    assert everything.notes[0].startswith("20 of 60 frames (33 %) are training frames of the run")
    # Another seed's test frames, as the report's figures had them.
    other = choose(seed_0, overrides=["seed=1"])
    assert other.name == "tiny-random-7-seed-1"
    np.testing.assert_array_equal(other.seen == "train", np.isin(other.frames.index, split.train))
    assert (other.seen == "train").any()


def test_the_same_geometry_counts_under_any_name(tiny, seed_0):
    catalogue.register("copy", tiny.select(slice(0, 30)), {})
    chosen = choose(seed_0, overrides=["data=copy"])
    train = Split.load(seed_0.split).train
    np.testing.assert_array_equal(chosen.seen == "train", np.isin(np.arange(30), train))


@pytest.mark.usefixtures("tiny")
def test_frames_of_the_run_that_it_started_from_are_seen(seed_0):
    """A split of its own does not make them new to weights that were trained on them."""
    tuned = run(*BRIEF, "seed=1", f"init={seed_0.path}").folder
    again = run(*BRIEF, "seed=2", f"init={tuned.path}").folder
    first, second, third = (Split.load(f.split) for f in (seed_0, tuned, again))
    rows = set(third.test) & ({*first.train} | {*second.train})
    assert rows  # else nothing is tested
    chosen = choose(again)
    assert {
        m for m, s in zip(chosen.frames.index, chosen.seen, strict=True) if s == "train"
    } == rows
    assert "training frames of the run or of one that it started from (init=)" in chosen.notes[0]
    seed_0.best.write_bytes(b"")
    assert set(choose(again).seen) == {"unknown"}
    assert "or a run that it started from did" in choose(again).notes[0]


def test_a_strained_crystal_is_not_the_frame_of_training(tiny, seed_0):
    """Its atoms may be where they were; vectors that are not repeated are nothing to it."""
    frames = tiny.select(slice(0, 30))
    cell = np.tile(10 * np.eye(3), (30, 1, 1))
    catalogue.register("box", replace(frames, cell=cell), {})
    catalogue.register("crystal", replace(frames, cell=cell, pbc=np.ones((30, 3), bool)), {})
    assert (choose(seed_0, overrides=["data=box"]).seen == "train").any()
    assert set(choose(seed_0, overrides=["data=crystal"]).seen) == {"held out"}
    volumes = replace(
        frames.select([0] * 3),
        cell=np.stack([size * np.eye(3) for size in (9.0, 10.0, 11.0)]),
        pbc=np.ones((3, 3), bool),
    )
    assert len(set(_keys(volumes))) == 3


@pytest.mark.usefixtures("tiny")
def test_a_molecule_that_the_reference_does_not_know_is_named(seed_0):
    alkene, other = toy.frames(2, 4), toy.frames(2, 4, 1)
    numbers = other.numbers.copy()
    numbers[::6] = 1  # C1H5: no multiple of C3H6
    other = replace(other, numbers=numbers, molecule=np.full(4, "ch5"))
    catalogue.register("mixed", Frames.concatenate([alkene, other]), {})
    chosen = choose(seed_0, overrides=["data=mixed"])
    np.testing.assert_array_equal(chosen.identified, chosen.frames.molecule == "c2h4")
    (line,) = [note for note in chosen.notes if "undetermined" in note]
    assert line.startswith("ch5: ")
    assert "differences within a molecule are scored, absolute energies are not" in line


def test_a_charge_and_a_spin_that_training_did_not_have_are_named(tiny, seed_0):
    half = np.arange(60) % 2
    catalogue.register("ions", replace(tiny, charge=half, spin=1 + half), {})
    chosen = choose(seed_0, overrides=["data=ions"])
    (line,) = [note for note in chosen.notes if "charge +1 and spin multiplicity 2" in note]
    assert "not in training" in line
    own = choose(seed_0, overrides=["data=tiny"])
    assert not [note for note in own.notes if "charge" in note]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("composition", [True, True, True, False]),
        ("molecule_mean", [False, True, False, False]),
        ("isolated_atoms", [True, True, True, True]),
    ],
)
def test_what_a_reference_identifies(kind, expected):
    """Trained on C3H6 and C4H8; asked about C2H4, C3H6, C9H18 and C3H8."""
    training = np.array([[6.0, 3.0], [8.0, 4.0], [6.0, 3.0]])
    asked = np.array([[4.0, 2.0], [6.0, 3.0], [18.0, 9.0], [8.0, 3.0]])
    assert identified(kind, training, asked).tolist() == expected


def test_two_independent_compositions_identify_both_elements():
    assert identified("composition", np.array([[4.0, 1.0], [6.0, 2.0]]), np.eye(2)).all()


def test_other_data_under_the_same_name(tiny, seed_0):
    catalogue.register("tiny", tiny.select(slice(0, 50)), {}, force=True)
    with pytest.raises(UserError, match="its test frames are not known; name a set with data=NAME"):
        choose(seed_0)
    chosen = choose(seed_0, overrides=["data=tiny"])
    assert set(chosen.seen) == {"unknown"}
    assert "is not known" in chosen.notes[0]
    assert chosen.identified.all()  # the checkpoint holds the compositions of training


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data=tinny", "unknown option data=tinny; did you mean tiny"),
        ("data.test_size=100", "do not fit: there are 60"),
        ("data.sise=3", "unknown group or key"),
    ],
)
def test_mistakes(seed_0, override, message):
    with pytest.raises(UserError, match=message):
        choose(seed_0, overrides=[override])
