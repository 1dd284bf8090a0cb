"""Whether the frames of a trajectory lie on one path: positions that were moved, and jumps."""

from __future__ import annotations

import numpy as np

from deepset_bench.checks.finding import Finding
from deepset_bench.checks.subject import FEW, Subject
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.geometry import distances, pairs
from deepset_bench.molecules.one_molecule import Group

_PAIRS = 500  # distances that are followed
_SMOOTH = 0.3  # of a distance's own spread: what its neighbours in time leave open
_ENOUGH = 0.1  # of the distances
_FAR, _LEAST = 6.0, 0.002  # times the usual miss; angstrom, below which nothing is one
_MOST = 0.05  # of the frames: more are no exceptions


def on_one_path(subject: Subject) -> Finding:
    """Frames whose distances are not between those of the frames before and after.

    Each distance is interpolated from the two frames before and the two after; those count that
    can be so to a third of their spread. What a frame misses by is measured in what it usually is.
    A frame beside which all is well again was moved; otherwise the trajectory jumps there.
    """
    check = "path in time"
    found = [miss for group in subject.large if (miss := _misses(group)) is not None]
    if not found:
        return Finding(check, "not run", "no frames close enough in time to lie on a path")
    moved, jumps, number, size = list[int](), list[int](), 0.0, 0.0
    for group, values, usual in found:
        kicked, torn, most, by = _exceptions(values, usual)
        if len(kicked) + len(torn) > _MOST * len(group):
            continue
        number, size = max(number, most), max(size, by)
        moved += group.index[kicked].tolist()
        jumps += group.index[torn].tolist()
    if not moved and not jumps:
        text = f"each frame lies between its neighbours, to {number:.1f} times what is usual"
        return Finding(check, "ok", text, number)
    texts, advice = [], ""
    if moved:
        texts.append(
            f"the positions of {len(moved):,} frames are off the path of the frames around them, "
            f"by up to {number:.0f} times what is usual, {size:.2g} angstrom a distance"
        )
        advice = "were these positions changed, or are these frames of another run?"
    if jumps:
        places = ", ".join(f"{frame}" for frame in sorted(jumps)[:4])
        texts.append(f"the trajectory jumps before frame {places}{', ...' * (len(jumps) > 4)}")
        advice = advice or "several trajectories one after the other? hold out whole ones"
    where = tuple(sorted(moved + jumps))
    return Finding(check, "suspect", "; ".join(texts), number, "", where, (), advice)


def _misses(group: Group) -> tuple[Group, FloatArray, FloatArray] | None:
    """A trajectory, the distances (m, p) that are smooth in it, and their usual misses (p,)."""
    if len(group) < FEW or len(group.numbers) < 2 or not (np.diff(group.index) > 0).all():
        return None
    i, j = pairs(len(group.numbers))
    some = np.unique(np.linspace(0, len(i) - 1, _PAIRS).astype(int))
    values = distances(group.positions, i[some], j[some])
    usual = np.median(np.abs(_missed(values)), axis=0)
    spread = np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    smooth = usual < _SMOOTH * spread
    if smooth.sum() < max(1.0, _ENOUGH * len(some)):
        return None
    return group, values[:, smooth], np.maximum(1.4826 * usual[smooth], _LEAST)


def _missed(values: FloatArray) -> FloatArray:
    """(m, p) values less what a cubic through the two before and the two after has there."""
    ends = np.pad(values, ((2, 2), (0, 0)), mode="reflect", reflect_type="odd")
    inner = 4 * (ends[1:-3] + ends[3:-1]) - ends[:-4] - ends[4:]
    return np.asarray(values - inner / 6)


def _exceptions(values: FloatArray, usual: FloatArray) -> tuple[list[int], list[int], float, float]:
    """Frames that were moved, frames before which there is a jump, the largest miss, in angstrom.

    The worst frame is put where its neighbours want it, and so on.
    """
    values = values.copy()
    moved, jumps = list[int](), list[int]()
    most = size = 0.0
    edge = 2
    while len(moved) + len(jumps) <= _MOST * len(values):
        miss = _missed(values)
        score = _size(miss / usual)
        score[:edge] = score[-edge:] = 0.0
        score /= max(1.0, float(np.median(score[edge:-edge])))
        for frame in jumps:
            score[max(0, frame - 3) : frame + 3] = 0.0
        worst = int(score.argmax())
        most = max(most, float(score[worst]))
        if score[worst] <= _FAR:
            break
        calm = values.copy()
        calm[worst] -= miss[worst]
        around = slice(max(edge, worst - 2), worst + 3)
        after = _size(_missed(calm)[around] / usual)
        if after.max() < _size(miss[[worst]] / usual)[0] / 2:
            moved.append(worst)
            size = max(size, float(_size(miss[[worst]])[0]))
            values = calm
        else:
            steps = np.abs(np.diff(values[worst - 1 : worst + 2], axis=0)).mean(axis=1)
            jumps.append(worst + int(steps.argmax()))
    return sorted(moved), sorted(set(jumps)), most, size


def _size(values: FloatArray) -> FloatArray:
    """(m,) root mean square of the largest quarter of each row of (m, p): those of one atom."""
    count = max(1, values.shape[1] // 4)
    largest = np.partition(values**2, -count, axis=1)[:, -count:]
    return np.asarray(np.sqrt(largest.mean(axis=1)))
