"""The whole examination: what frames alone tell, and what GFN-xTB adds where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deepset_bench.data.checks import composition, duplicates, identity, reference, series
from deepset_bench.data.checks.cheap import CHEAP, Check, examine
from deepset_bench.data.checks.finding import Finding, worst
from deepset_bench.data.checks.reference import Sample
from deepset_bench.data.checks.subject import Subject
from deepset_bench.errors import UserError

FRAMES: tuple[Check, ...] = (
    *CHEAP,
    identity.identity,
    duplicates.near_duplicates,
    duplicates.leakage,
    series.drift,
    series.temperature,
    composition.row_space,
)
"""Every check that needs nothing but the frames."""


@dataclass(frozen=True, eq=False)
class Report:
    """What an examination found.

    Attributes:
        sample: frames computed anew; None without tblite.
    """

    subject: Subject
    findings: list[Finding]
    sample: Sample | None

    @property
    def verdict(self) -> str:
        """`ok`, `suspect` or `defect`."""
        return worst(self.findings)


def full_examination(
    subject: Subject,
    size: int = reference.SAMPLE,
    electronic_temperature: float | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Report:
    """Every check there is.

    Args:
        subject: the set.
        size: frames to compute anew with GFN-xTB; 0 for none.
        electronic_temperature, progress: see `reference.sample`.

    Raises:
        UserError: `subject.smiles` is neither a SMILES string nor a known name.
    """
    check = reference.GRADIENT
    sample, findings = None, []
    try:
        if size == 0:
            raise UserError("no frames were to be computed anew (--sample 0)")
        sample = reference.sample(subject, size, electronic_temperature, progress)
    except UserError as error:
        findings.append(Finding(check, "not run", str(error)))
    else:
        findings.append(reference.bias(subject, sample))
        findings.append(reference.level_of_theory(subject, sample))
        findings += reference.units_against_method(subject, sample)
    return Report(subject, findings + examine(subject, FRAMES), sample)
