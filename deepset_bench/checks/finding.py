"""What a check says: a verdict, the number behind it, where it is, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from deepset_bench.units import HARTREE, HARTREE_PER_BOHR

VERDICTS = ("not run", "ok", "suspect", "defect")
"""From harmless to harmful. `suspect` asks for a look; only a `defect` fails an examination."""

TINY, _TINY = 1e-6, "1e-6"
"""eV or eV/angstrom: what is smaller is rounding."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: what was looked at.
        verdict: of VERDICTS; `not run` where the data or the installation do not allow the check.
        text: what was found, in one or two sentences, every number with its unit.
        number: the number behind the verdict, in `unit`.
        unit: of `number`; empty for a ratio or a count.
        frames: those concerned, numbered as in their source, from 0.
        atoms: those concerned, numbered from 0 within a frame.
        advice: what to do about it.
    """

    check: str
    verdict: str
    text: str
    number: float | None = None
    unit: str = ""
    frames: tuple[int, ...] = ()
    atoms: tuple[int, ...] = ()
    advice: str = ""

    def __post_init__(self) -> None:
        assert self.verdict in VERDICTS


def worst(findings: Iterable[Finding]) -> str:
    """`ok`, `suspect` or `defect`: the most harmful verdict there is."""
    found = {finding.verdict for finding in findings}
    return next((verdict for verdict in ("defect", "suspect") if verdict in found), "ok")


def sorted_by_verdict(findings: Iterable[Finding]) -> list[Finding]:
    """The most harmful first, else in their order."""
    return sorted(findings, key=lambda finding: -VERDICTS.index(finding.verdict))


def graded(number: float, suspect: float, defect: float) -> str:
    """The verdict on a number that should be small; NaN is a defect."""
    return "ok" if number <= suspect else "suspect" if number <= defect else "defect"


def ranges(numbers: Sequence[int], most: int = 4) -> str:
    """`3, 7-9, 12`: sorted numbers with runs drawn together, at most `most` of them written."""
    if len(numbers) == 0:
        return ""
    ordered = np.unique(numbers)
    breaks = np.flatnonzero(np.diff(ordered) > 1) + 1
    edges = [0, *breaks.tolist(), len(ordered)]
    runs = [ordered[start:end] for start, end in pairwise(edges)]
    words = [f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")


def listed(numbers: Iterable[int]) -> str:
    """`0, 1, 2, 4`."""
    return ", ".join(map(str, numbers))


def energy_text(ev: float) -> str:
    """An energy in eV and, for those who think so, in millihartree."""
    if abs(ev) < TINY:
        return f"below {_TINY} eV"
    return f"{ev:.3g} eV ({1000 * ev / HARTREE:.3g} mHa)"


def agreement_text(ev: float) -> str:
    """How far energies that should be equal are."""
    return f"agree to {_TINY} eV" if ev < TINY else f"differ by up to {energy_text(ev)}"


def force_text(ev_per_angstrom: float) -> str:
    """A force in eV/angstrom and hartree/bohr."""
    if abs(ev_per_angstrom) < TINY:
        return f"below {_TINY} eV/angstrom"
    return f"{ev_per_angstrom:.3g} eV/angstrom ({ev_per_angstrom / HARTREE_PER_BOHR:.3g} Ha/bohr)"


def as_dict(finding: Finding) -> dict[str, Any]:
    """For JSON; numbers that are not finite become null."""
    content = asdict(finding)
    if finding.number is not None and not math.isfinite(finding.number):
        content["number"] = None
    return content
