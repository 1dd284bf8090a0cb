"""Every figure by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from deepset_bench.errors import UserError, nearest
from deepset_bench.figures.conformers import conformers
from deepset_bench.figures.curves import curves
from deepset_bench.figures.distributions import against_torsion, parity
from deepset_bench.figures.effects import effects
from deepset_bench.figures.experts import experts
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.learning import learning
from deepset_bench.figures.trajectory import trajectory
from deepset_bench.study.collect import Where

_Maker = Callable[[Sequence[str], Where, str], Figure]

_MAKERS: dict[str, _Maker] = {
    "figure_7": partial(curves, 7, "energy", "scalars"),
    "figure_8": partial(curves, 8, "forces", "scalars"),
    "figure_12": partial(curves, 12, "energy", "layers"),
    "figure_13": partial(curves, 13, "forces", "layers"),
    "figure_15": partial(trajectory, 15, None),
    "figure_16": partial(conformers, 16, None),
    "figure_17": partial(trajectory, 17, "pent-2-ene"),
    "figure_18": partial(conformers, 18, "pent-2-ene"),
    "parity": parity,
    "torsion": against_torsion,
    "learning": learning,
    "experts": experts,
    "effects": effects,
}
FIGURES = tuple(_MAKERS)
"""Names in the order of the report, then those beyond it."""


def build(
    names: Sequence[str],
    where: Where,
    conditions: Sequence[str] = ("report", "corrected"),
    unit: str = "hartree",
) -> list[Figure]:
    """Figures from the run folders, ready to be drawn.

    Args:
        names: of FIGURES; for those of the report the number will do.
        where: which runs.
        conditions: of `report` and `corrected`.
        unit: `hartree` or `mev`.

    Returns:
        One for each name; `draw` is None where no run is there to draw.

    Raises:
        UserError: an unknown name, an override that does not compose, an unreadable run.
    """
    return [_MAKERS[_full(name)](conditions, where, unit) for name in names]


def _full(name: str) -> str:
    full = f"figure_{name}" if name.isdecimal() else name
    if full not in _MAKERS:
        raise UserError(f"unknown figure '{name}'; {nearest(full, FIGURES)}")
    return full
