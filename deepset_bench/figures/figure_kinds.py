"""The kinds of figures there are: a module each, whose function has the name of the kind."""

from __future__ import annotations

from collections.abc import Callable

from deepset_bench.figures.along_path import scan
from deepset_bench.figures.atomic_energies import atomic_energies
from deepset_bench.figures.conformers import conformers
from deepset_bench.figures.cost import cost
from deepset_bench.figures.curves import curves
from deepset_bench.figures.effects import effects
from deepset_bench.figures.error_along import error_along
from deepset_bench.figures.experts import experts
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.learning import learning
from deepset_bench.figures.parity import parity
from deepset_bench.figures.trajectory import trajectory

KINDS: dict[str, Callable[..., Figure]] = {
    kind.__name__: kind
    for kind in (
        *(cost, curves, effects, learning, parity, error_along, conformers, scan, trajectory),
        *(atomic_energies, experts),
    )
}
"""Name -> what makes a figure of what is asked for and the kind's own keys."""
