"""What `bench train` looks at before it trains: everything that a second can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deepset_bench.checks import (
    agreement,
    blank,
    composition,
    digits,
    duplicates,
    intact,
    kinds,
    series,
    work,
)
from deepset_bench.checks import isolation as labels
from deepset_bench.checks import unit_sizes as units
from deepset_bench.checks.finding import Finding, worst
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import Frames

Check = Callable[[Subject], Finding | list[Finding] | None]

CHEAP: tuple[Check, ...] = (
    labels.known_bias,
    blank.blank,
    work.conservative,
    labels.net_force,
    labels.net_torque,
    units.bond_lengths,
    units.force_scale,
    intact.broken,
    intact.connectivity,
    kinds.one_molecule,
    kinds.one_charge,
    labels.outliers,
    digits.digits,
    series.frozen,
    duplicates.duplicates,
    composition.rank,
    composition.one_level,
)
"""Checks of a set of 6,000 frames of a dozen atoms that take less than a second together."""


MOST, RUN = 500_000, 10
"""Atoms of a set up to which all of it is looked at; frames of a larger one that stay together."""


@dataclass(frozen=True)
class Verdict:
    """`ok`, `suspect` or `defect`, and one line for everything found, defects first."""

    verdict: str
    findings: list[str]


OF_ANY: tuple[Check, ...] = (
    labels.known_bias,
    blank.blank,
    labels.net_force,
    kinds.one_charge,
    digits.digits,
    composition.rank,
    composition.one_level,
)
"""Those of periodic frames, too; others take atoms for molecules in open space."""


OF_FORCES: tuple[Check, ...] = (
    labels.known_bias,
    work.conservative,
    labels.net_force,
    labels.net_torque,
    units.force_scale,
    labels.outliers,
    digits.digits,
    series.frozen,
    duplicates.duplicates,
    agreement.smooth,
    series.temperature,
)
"""Those that look at forces: of frames with an energy alone they say nothing."""


def examine(subject: Subject, checks: tuple[Check, ...] = CHEAP) -> list[Finding]:
    """The findings of some checks, in their order; most are of frames in open space alone."""
    findings: list[Finding] = []
    in_open, periodic = subject.in_open_space, int(subject.frames.periodic.sum())
    if alone := len(subject.frames) - len(subject.with_forces.frames):
        what = f"{alone:,} of {len(subject.frames):,} frames have no forces: of them only "
        what += "geometries and names are looked at"
        findings.append(Finding("energies alone", "not run", what))
    if periodic:
        what = f"{periodic:,} of {len(subject.frames):,} frames are periodic: of them bonds, "
        what += "distances, torque, work, duplicates and GFN-xTB are not looked at"
        findings.append(Finding("periodic frames", "not run", what))
    for check in checks:
        looked_at = subject if check in OF_ANY else in_open
        looked_at = looked_at.with_forces if check in OF_FORCES else looked_at
        if not len(looked_at.frames) and len(subject.frames):
            continue
        found = check(looked_at)
        findings += found if isinstance(found, list) else [found] if found is not None else []
    return findings


def sampled(frames: Frames) -> Frames:
    """A set, or of one with more than MOST atoms so many: runs of frames, evenly spaced.

    Neighbours in time show what stands still, and a spread over the set shows every molecule.
    """
    if len(frames.numbers) <= MOST:
        return frames
    runs = max(int(MOST * len(frames) / len(frames.numbers)) // RUN, 1)
    first = np.linspace(0, len(frames) - RUN, runs).astype(np.int64)
    return frames.select(np.unique(first[:, None] + np.arange(RUN)))


def cheap_checks(frames: Frames, labels: str) -> Verdict:
    """Whether the labels can be forces and the molecules are whole.

    Args:
        frames: the whole data set, of which a sample is looked at where it is large.
        labels: `potential` or `biased`, what the condition trains on.
    """
    whole, frames = frames, sampled(frames)
    findings = examine(Subject(frames, labels=labels))
    by_check = {finding.check: finding.verdict for finding in findings}
    lines = [
        finding.text
        for verdict in ("defect", "suspect")
        for finding in findings
        if finding.verdict == verdict
    ]
    verdict = worst(findings)
    if frames.bias_forces is None and by_check.get("work and energy") == "not run":
        lines.append(
            "nothing shows that the forces are the gradient of the energy; "
            "bench data relabel computes labels that are"
        )
        verdict = worst([*findings, Finding("", "suspect", "")])
    if len(frames) < len(whole):
        lines.append(f"looked at {len(frames):,} of the {len(whole):,} frames, evenly spaced")
    return Verdict(verdict, lines)
