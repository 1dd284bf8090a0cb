"""What a run is trained on and what it is to generalise to: frames chosen by what they are of."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from deepset_bench.data import catalogue
from deepset_bench.data.splits import divisible
from deepset_bench.errors import UserError, nearest
from deepset_bench.molecules.frames import Frames, IntArray
from deepset_bench.molecules.topology import double_bond_torsions
from deepset_bench.schema import Criteria, Task


@dataclass(frozen=True, eq=False)
class Division:
    """A set as a task divides it, whatever the seed.

    Attributes:
        frames: the whole set.
        pool: rows of it for training, validation and test.
        other: the set of the out-of-distribution frames; `frames` itself if it is the same.
        ood: rows of `other`, none of them in the pool; empty without such a task.
        val_unseen: rows of `frames` in neither; empty without such a task.
    """

    frames: Frames
    pool: IntArray
    other: Frames
    ood: IntArray
    val_unseen: IntArray


def divide(name: str, task: Task) -> Division:
    """The parts of a task.

    Args:
        name: of the set that is trained on.
        task: see `schema.Task`.

    Raises:
        UserError: an unknown set or molecule, or a selection that leaves nothing.
    """
    frames = catalogue.load(name)
    same = task.data in (None, name)
    other = frames if same else catalogue.load(str(task.data))
    pool = _of_molecules(frames, select(frames, task.train, f"{name}: task.train"))
    ood = val_unseen = pool[:0]
    if task.has_ood:
        ood = _of_molecules(other, select(other, task.ood, f"{task.data or name}: task.ood"))
        if same:
            pool = _without(pool, ood, f"{name}: task.ood")
    if task.val_unseen.chooses:
        where = f"{name}: task.val_unseen"
        val_unseen = _of_molecules(frames, select(frames, task.val_unseen, where))
        if same and len(np.intersect1d(val_unseen, ood)):
            raise UserError(f"{where}: has frames of task.ood: settings would be chosen by them")
        pool = _without(pool, val_unseen, where)
    thinned = (_thinned(*one, task.ood_size) for one in ((other, ood), (frames, val_unseen)))
    return Division(frames, pool, other, *thinned)


def _without(pool: IntArray, others: IntArray, where: str) -> IntArray:
    left = np.setdiff1d(pool, others)
    if not len(left):
        raise UserError(f"{where} leaves no frames to train on")
    return left


def _of_molecules(frames: Frames, rows: IntArray) -> IntArray:
    return rows[divisible(frames, rows)]


def select(frames: Frames, selection: Criteria, where: str) -> IntArray:
    """Rows of the frames that meet every condition, ascending.

    Args:
        frames: the set.
        selection: the conditions.
        where: for messages.

    Raises:
        UserError: a name or pattern that no molecule has, or nothing is left.
    """
    names = np.unique(frames.molecule).tolist() if selection.molecules else []
    unknown = [p for p in selection.molecules if not any(fnmatchcase(n, p) for n in names)]
    if unknown:
        raise UserError(f"{where}: no molecule {unknown[0]!r}; {nearest(unknown[0], names)}")
    kept = np.ones(len(frames), dtype=bool)
    if selection.molecules:
        chosen = [n for n in names if any(fnmatchcase(n, p) for p in selection.molecules)]
        kept &= np.isin(frames.molecule, chosen)
    if selection.carbons is not None:
        kept &= _within(frames.composition([6])[:, 0], selection.carbons)
    rows = np.flatnonzero(kept)
    if selection.torsion is not None and len(rows):
        rows = rows[_within(double_bond_torsions(frames.select(rows)), selection.torsion)]
    if not len(rows):
        raise UserError(f"{where}: no frame is {selection}")
    return rows


def _within(values: np.ndarray, ends: list[int] | list[float]) -> np.ndarray:
    return np.asarray((values >= ends[0]) & (values <= ends[1]))


def _thinned(frames: Frames, rows: IntArray, most: int) -> IntArray:
    """At most so many rows, evenly spaced within each molecule, ascending."""
    rows = rows[np.lexsort((frames.index[rows], frames.molecule[rows]))]
    if len(rows) > most:
        # The middles of equal parts, so that each molecule has its share.
        rows = rows[((np.arange(most) + 0.5) * len(rows) / most).astype(np.int64)]
    return np.sort(rows)
