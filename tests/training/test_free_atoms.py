"""Free atoms: whose energies a run takes, what is said of them, and that they are in no part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split, divisible
from deepset_bench.data.tasks import divide
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.runs import run_folder
from deepset_bench.schema import Task
from tests import toy
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import OVERRIDES, prepared, run

HYDROGEN, CARBON = -10.92345239113973, -47.329357138467
"""As shipped, eV."""
ATOMS = "reference=isolated_atoms"


def atom(Z: int, energy: float, charge: int = 0) -> Frames:
    frame = toy.geometry(np.array([Z]), np.zeros((1, 3)))
    return replace(frame, energy=np.array([energy]), charge=np.array([charge]))


def registered(*atoms: Frames, method: str | None = None) -> Frames:
    frames = Frames.concatenate([*atoms, toy.frames(3, 60)])
    catalogue.register("tiny", frames, {} if method is None else {"method": method}, force=True)
    return frames


pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.mark.parametrize("method", ["GFN1-xTB", "GFN1-xTB, 300 K"])
def test_the_shipped_energies_serve_their_own_method(method):
    registered(method=method)
    setup, _ = prepared(ATOMS)
    np.testing.assert_array_equal(setup.reference.energies, [HYDROGEN, CARBON])
    assert setup.notes == []


@pytest.mark.parametrize("method", [None, catalogue.METHOD_UNKNOWN])
def test_labels_of_nobody_knows_what_are_said(method):
    registered(method=method)
    setup, _ = prepared(ATOMS)
    (note,) = setup.notes
    assert note.startswith("the energy reference: free H and C of GFN1-xTB, and nobody says")
    assert "\n" not in note


def test_labels_of_another_method_are_a_mistake():
    registered(atom(1, -13.5), method="PBE/def2-SVP")
    with pytest.raises(UserError, match=r"for C, but the labels of tiny are of PBE/def2-SVP; give"):
        prepared(ATOMS)
    assert prepared(ATOMS, "reference.energies_ev.6=-1030")[0].notes == []
    assert prepared("reference=composition")[0].notes == []


def test_a_run_says_it_where_it_is_seen_and_kept():
    registered()
    notes: list[str] = []
    outcome = run(ATOMS, "trainer.epochs=1", on_note=lambda _, line: notes.append(line))
    assert len(notes) == 1
    assert notes[0] in outcome.folder.log.read_text()


def test_lone_atoms_are_in_no_part():
    frames = registered(atom(1, -13.5), atom(6, -1031.0), atom(6, -1000.0, charge=1))
    assert divisible(frames).tolist() == list(range(2, 63))
    assert divide("tiny", Task()).pool.tolist() == list(range(2, 63))
    setup, _ = prepared()
    rows = np.concatenate([setup.split.train, setup.split.val, setup.split.test])
    assert rows.min() >= 2
    assert divisible(frames.select([0, 1])).tolist() == [0, 1]  # a set of nothing else


def test_a_run_does_not_go_on_with_other_training_frames():
    """As of an earlier version, which drew from all frames."""
    registered()
    with pytest.raises(Killed):
        run(on_epoch=stop_at(2))
    folder = run_folder(experiment(OVERRIDES))
    split = Split.load(folder.split)
    replace(split, train=split.train[::-1]).save(folder.split)
    with pytest.raises(UserError, match=r"drew other frames to train on; .*--fresh"):
        run()
    assert run(fresh=True).result["status"] == "done"
