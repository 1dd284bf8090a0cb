"""What a task trains on and what it is scored on: disjoint, complete, the same for every seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepset_bench.data import catalogue
from deepset_bench.data.tasks import divide, select
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.schema import Criteria, Task
from tests import toy

CARBONS = (2, 3, 4, 5)
MANY = Frames.concatenate([toy.frames(n, 12, seed=n, noise=0.02) for n in CARBONS])
NAMES = [f"c{n}h{2 * n}" for n in CARBONS]


@pytest.fixture
def many(own_folders) -> Frames:
    catalogue.register("many", MANY, {})
    return MANY


@given(st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), st.integers(1, 60))
def test_molecules_out_of_distribution_are_in_no_other_part(names, size):
    rows = select(MANY, Criteria(molecules=sorted(names)), "x")
    assert set(MANY.molecule[rows]) == names
    assert len(rows) == 12 * len(names)


@pytest.mark.usefixtures("many")
def test_molecules_to_choose_settings_by_are_in_no_other_part():
    task = Task(ood=Criteria(carbons=[5, 5]), val_unseen=Criteria(carbons=[4, 4]), ood_size=7)
    found = divide("many", task)
    assert set(MANY.molecule[found.pool]) == {"c2h4", "c3h6"}
    assert set(MANY.molecule[found.val_unseen]) == {"c4h8"}
    assert set(MANY.molecule[found.ood]) == {"c5h10"}
    assert len(found.val_unseen) == 7
    alone = divide("many", Task(val_unseen=Criteria(carbons=[4, 4])))
    assert set(MANY.molecule[alone.pool]) == {"c2h4", "c3h6", "c5h10"}
    assert not len(alone.ood)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("size", [1, 7, 24, 500])
def test_the_rest_is_trained_on(size):
    task = Task(ood=Criteria(carbons=[4, 5]), ood_size=size)
    found = divide("many", task)
    assert set(MANY.molecule[found.pool]) == {"c2h4", "c3h6"}
    assert set(MANY.molecule[found.ood]) <= {"c4h8", "c5h10"}
    assert len(found.pool) == 24
    assert len(found.ood) == min(size, 24)
    np.testing.assert_array_equal(found.ood, np.unique(found.ood))
    np.testing.assert_array_equal(found.ood, divide("many", task).ood)
    counts = [(MANY.molecule[found.ood] == name).sum() for name in ("c4h8", "c5h10")]
    assert abs(counts[0] - counts[1]) <= 1


@pytest.mark.usefixtures("many")
def test_both_parts_selected():
    task = Task(train=Criteria(molecules=["c?h[46]"]), ood=Criteria(molecules=["c5*", "c3h6"]))
    found = divide("many", task)
    assert set(MANY.molecule[found.pool]) == {"c2h4"}
    assert set(MANY.molecule[found.ood]) == {"c3h6", "c5h10"}


@pytest.mark.usefixtures("many", "tiny")
def test_another_set():
    found = divide("tiny", Task(data="many", ood=Criteria(molecules=["c5h10"])))
    assert len(found.pool) == 60
    assert set(found.other.molecule[found.ood]) == {"c5h10"}


@pytest.mark.usefixtures("many")
def test_no_task_is_the_whole_set():
    found = divide("many", Task())
    np.testing.assert_array_equal(found.pool, np.arange(len(MANY)))
    assert len(found.ood) == 0


def test_torsions_of_shipped_isomers():
    """cis is 0, trans is 180 degrees; dynamics at 500 K stay within 60 degrees of it."""
    alkenes = catalogue.load("alkenes")
    for name, ends in (("cis-*", [0.0, 60.0]), ("trans-*", [120.0, 180.0])):
        isomers = alkenes.select(select(alkenes, Criteria(molecules=[name]), "x")[::20])
        assert len(np.unique(isomers.molecule)) == 3
        kept = select(isomers, Criteria(torsion=ends), "x")
        np.testing.assert_array_equal(kept, np.arange(len(isomers)))


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task(ood=Criteria(molecules=["c3h7"])), "many: task.ood: no molecule 'c3h7'; did you"),
        (Task(train=Criteria(carbons=[7, 9])), "many: task.train: no frame is"),
        (Task(ood=Criteria(carbons=[2, 5])), "many: task.ood leaves no frames to train on"),
        (Task(data="none-such"), "unknown data set 'none-such'"),
        (Task(ood=Criteria(torsion=[0.0, 60.0])), "has no C=C bond outside rings"),
    ],
)
def test_a_mistake_is_one_line(task, message):
    with pytest.raises(UserError, match=message) as found:
        divide("many", task)
    assert "\n" not in str(found.value)
