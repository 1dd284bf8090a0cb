"""Whether a random split of a trajectory lets training see the test through neighbours in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from deepset_bench.checks.duplicates import manageable, points
from deepset_bench.checks.finding import Finding
from deepset_bench.checks.subject import Subject
from deepset_bench.data.splits import GAP, usual_sizes
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.one_molecule import Group

CLOSE = 0.9
"""Of the distance to the nearest training frame that is far in time: what leaks lies nearer.

`python -m benchmarks random_split`: dynamics of but-2-ene with a frame each 0.5, 2, 3, 5 and 20 fs
are at 0.2, 0.65, 0.84, 0.96 and 0.99; a regression of the energy errs on frames held out at random
by 0.01, 0.3, 0.6, 0.7 and 0.95 times what it does on those far in time.
"""
_HELD_OUT = 300  # frames asked for their nearest
_FEWEST = 10  # of a training part, of which all may else be near in time
_PART = 20  # of a short trajectory: what is not far in time


@dataclass(frozen=True, eq=False)
class Nearness:
    """How near held-out frames are to training frames, in angstrom.

    Distances are root mean square differences of sorted interatomic distances.

    Attributes:
        random: (h,) to the nearest frame of a training part drawn at random.
        far: (h,) to the nearest of the same training part that is over `gap` frames away in time.
        gap: frames.
    """

    random: FloatArray
    far: FloatArray
    gap: int

    @property
    def ratio(self) -> float:
        """Mean over frames of `random` over `far`, 1 where neighbours in time are no nearer."""
        return float(np.mean(self.random / self.far))


def nearness(group: Group, frames: int) -> Nearness | None:
    """How near the frames of a trajectory are to a training part of the usual size.

    Each frame is asked for its nearest training frame but itself, so that few frames serve, too.

    Args:
        group: frames in order of time.
        frames: of the whole set, of which the group's are a part.

    Returns:
        None where a frame has no training frame far in time, or has one of the same geometry.
    """
    rng = np.random.default_rng(0)
    most = manageable(group)
    usual = usual_sizes(frames)[0] * len(group) // frames
    size = max(_FEWEST, min(usual, most - min(_HELD_OUT, most // 4)))
    order = rng.permutation(len(group))[: size + _HELD_OUT]
    some = group.select(order)
    asked = slice(-_HELD_OUT, None)  # those held out, and training frames where these are few
    away = points(some)
    distance = cdist(away[asked], away[:size])
    apart = np.abs(some.index[asked, None] - some.index[:size])
    gap = min(GAP, int(np.ptp(group.index)) // _PART)
    distance[apart == 0] = np.inf
    random = distance.min(axis=1)
    far = np.where(apart > gap, distance, np.inf).min(axis=1)
    if not np.isfinite(far).all() or not (far > 0).all():
        return None
    return Nearness(random, far, gap)


def leakage(subject: Subject) -> Finding:
    """Whether held-out frames of a random split have nearer training frames than those of blocks.

    It is a matter of the split, not of the data: never a defect. That energies of neighbours in
    time correlate is no sign: what a model can copy is a geometry that is nearly the same.
    """
    check = "random split"
    group = next((g for g in subject.large if (np.diff(g.index) > 0).all()), None)
    if group is None:
        return Finding(check, "not run", "no trajectory in order")
    if len(group.numbers) < 2:
        return Finding(check, "not run", "an atom has one geometry")
    found = nearness(group, len(subject.frames))
    if found is None:
        return Finding(check, "not run", "no frames far apart in time, or they repeat")
    random, far = float(np.median(found.random)), float(np.median(found.far))
    text = (
        f"frames held out at random are {random:.3g} angstrom from their nearest training frame, "
        f"{far:.3g} angstrom from the nearest that is over {found.gap} frames away in time "
        f"(medians; {found.ratio:.2f} times as far on average)"
    )
    if found.ratio >= CLOSE:
        text += ": neighbours in time are hardly nearer than other frames"
        return Finding(check, "ok", text, found.ratio)
    text += ": training has seen nearly the same geometries"
    advice = "data.split=blocks holds whole blocks of time out"
    return Finding(check, "suspect", text, found.ratio, "", (), (), advice)
