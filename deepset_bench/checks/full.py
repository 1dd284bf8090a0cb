"""The whole examination: what frames alone tell, and what GFN-xTB adds where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from deepset_bench.checks import (
    agreement,
    composition,
    configuration,
    duplicates,
    identity,
    leakage,
    path,
    series,
)
from deepset_bench.checks import beside_xtb as reference
from deepset_bench.checks import bonded_elements as elements
from deepset_bench.checks.cheap import CHEAP, Check, examine
from deepset_bench.checks.finding import VERDICTS, Finding, worst
from deepset_bench.checks.sample import SAMPLE, Sample, samples
from deepset_bench.checks.subject import Subject
from deepset_bench.errors import UserError

FRAMES: tuple[Check, ...] = (
    *CHEAP,
    elements.elements,
    agreement.smooth,
    identity.identity,
    configuration.configuration,
    duplicates.near_duplicates,
    leakage.leakage,
    path.on_one_path,
    series.drift,
    series.temperature,
    composition.row_space,
)
"""Every check that needs nothing but the frames."""


@dataclass(frozen=True, eq=False)
class Report:
    """What an examination found.

    Attributes:
        sample: frames computed anew, of the molecule with the gravest finding; None without tblite.
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
    size: int = SAMPLE,
    electronic_temperature: float | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Report:
    """Every check there is.

    Args:
        subject: the set.
        size: frames to compute anew with GFN-xTB; 0 for none.
        electronic_temperature, progress: see `samples`.

    Raises:
        UserError: `subject.smiles` is neither a SMILES string nor a known name.
    """
    check = reference.GRADIENT
    sample, findings = None, list[Finding]()
    try:
        if size == 0:
            raise UserError("--sample 0 recomputes no frames")
        if not len(subject.in_open_space.frames):
            raise UserError("GFN-xTB is computed of molecules in open space alone")
        if not len(subject.in_open_space.with_forces.frames):
            raise UserError("no frame has forces to compare with those of GFN-xTB")
        labelled = subject.in_open_space.with_forces.of_molecules
        found = samples(labelled, size, electronic_temperature, progress)
    except UserError as error:
        findings.append(Finding(check, "not run", str(error)))
    else:
        by_molecule = [reference.findings(subject, one) for one in found]
        gravest = [max(VERDICTS.index(f.verdict) for f in each) for each in by_molecule]
        sample = found[gravest.index(max(gravest))]
        for alike in zip(*by_molecule, strict=True):
            worst_of = max(alike, key=lambda finding: VERDICTS.index(finding.verdict))
            if worst_of.verdict == "ok" and len(alike) > 1:
                text = f"{worst_of.text}; {len(alike) - 1} other molecules likewise"
                worst_of = replace(worst_of, text=text)
            findings.append(worst_of)
    return Report(subject, findings + examine(subject, FRAMES), sample)
