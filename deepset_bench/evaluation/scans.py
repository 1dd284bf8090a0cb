"""Trained runs and GFN1-xTB along a path of geometries: energies, jumps, cusps and their causes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from deepset_bench.evaluation.continuity import Break, Function, Point, find_breaks
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.evaluation.paths import Path
from deepset_bench.evaluation.trained import Trained
from deepset_bench.model.deepset.network import DeepSet
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.neighbours import neighbour_pairs
from deepset_bench.molecules.xtb import XTB

GFN1 = "GFN1-xTB"
_GFN1_INTERVALS = 180


@dataclass(frozen=True)
class Curve:
    """One potential along a path: energies (T,) in eV at t (T,), and where they break.

    Attributes:
        causes: of each break, as `cause` names them; empty for GFN1-xTB.
    """

    label: str
    t: FloatArray
    energy: FloatArray
    breaks: list[Break]
    causes: list[str]

    def relative(self, along: Path) -> FloatArray:
        """(T,) eV, to the last geometry or to the lowest, whichever the path asks for."""
        return self.energy - (self.energy[-1] if along.from_end else self.energy.min())

    def difference(self, reference: Curve | None) -> float | None:
        """Root mean square difference to a coarser curve in eV, both about their means."""
        if reference is None:
            return None
        ours = self.energy[np.isin(self.t, reference.t)]
        return float(np.std(ours - reference.energy))

    def summary(self) -> dict[str, Any]:
        """Range of the energy in eV; number and largest size of jumps (eV) and force jumps."""
        jumps = [abs(one.energy) for one in self.breaks if one.is_jump]
        return {
            "range_ev": float(np.ptp(self.energy)),
            "jumps": len(jumps),
            "largest_jump_ev": max(jumps, default=None),
            "cusps": len(self.breaks) - len(jumps),
            "largest_force_jump_ev_per_angstrom": max((b.force for b in self.breaks), default=None),
            "causes": {name: self.causes.count(name) for name in sorted(set(self.causes))},
        }


def followed(ensemble: Ensemble, along: Path, t: FloatArray) -> Point:
    """What a run says at (B,) values of t."""
    (trained,) = ensemble.members
    predicted = ensemble(along.frames(t), one_by_one=True)
    forces = predicted.forces.reshape(len(t), -1)
    return Point(predicted.energy, along.slope(t, forces / trained.potential.force_unit), forces)


def scan(label: str, ensemble: Ensemble, along: Path) -> Curve:
    """A run along a path; float64 keeps rounding below any jump."""
    (trained,) = ensemble.members
    function = partial(followed, ensemble, along)
    values = function(along.grid)
    breaks = find_breaks(function, along.grid, values)
    causes = [cause(trained, along, one) for one in breaks]
    return Curve(label, along.grid, values.energy, breaks, causes)


def cause(trained: Trained, along: Path, one: Break) -> str:
    """What happens within the bracket of a break.

    Returns:
        `cutoff`, a pair of atoms comes or goes; `gate`, an expert is taken up or dropped by
        `top_k`; else `unexplained`.
    """
    frames = along.frames(np.array([one.before, one.after]))
    i, j, *_ = neighbour_pairs(frames, trained.config.cutoff)
    n = len(along.numbers)
    before, after = (set(zip(i[i // n == m] % n, j[i // n == m] % n, strict=True)) for m in (0, 1))
    if before != after:
        return "cutoff"
    model = trained.potential.model
    if trained.config.gating.top_k is None or not isinstance(model, DeepSet):
        return "unexplained"
    d = np.linalg.norm(frames.positions[i] - frames.positions[j], axis=1).reshape(2, -1)
    kept = model.gate(torch.from_numpy(d).to(trained.potential.species.device)) > 0
    return "gate" if (kept[0] != kept[1]).any() else "unexplained"


def gfn1_along(along: Path, electronic_temperature: float) -> Function:
    """What GFN1-xTB says at (B,) values of t.

    Raises:
        UserError: tblite is not installed; when called, a geometry does not converge.
    """
    potential = XTB(along.numbers, "gfn1", electronic_temperature, along.charge, along.spin)

    def function(t: FloatArray) -> Point:
        points = [potential(positions) for positions in along.build(t)]
        forces = np.array([force.ravel() for _, force in points])
        return Point(np.array([energy for energy, _ in points]), along.slope(t, forces), forces)

    return function


def gfn1(along: Path, electronic_temperature: float) -> Curve:
    """GFN1-xTB on a coarser grid of the same path.

    Raises:
        UserError: tblite is not installed, or a geometry does not converge.
    """
    function = gfn1_along(along, electronic_temperature)
    t = along.grid[:: max((len(along.grid) - 1) // _GFN1_INTERVALS, 1)]
    values = function(t)
    return Curve(GFN1, t, values.energy, find_breaks(function, t, values), [])
