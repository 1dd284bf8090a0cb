"""`bench data check`: read, examine, show, and write what was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress

from deepset_bench.checks.cheap import sampled
from deepset_bench.checks.finding import Finding, as_dict, worst
from deepset_bench.checks.full import Report, full_examination
from deepset_bench.checks.sample import SAMPLE
from deepset_bench.checks.subject import Subject
from deepset_bench.checks.terminal import show
from deepset_bench.console import Console
from deepset_bench.data import catalogue
from deepset_bench.data.gathering import Request, gather, is_set
from deepset_bench.files import check_writable, write_text
from deepset_bench.molecules.mapped import is_large
from deepset_bench.surroundings import say


@dataclass(frozen=True)
class CheckOptions:
    """How to examine, and what to write beside the terminal's lines.

    Attributes:
        smiles: what the molecule is taken for, a SMILES string or a name.
        against: a set that a model of this one is meant for.
        biased: examine the labels with the bias that the set keeps apart.
        sample: frames to compute anew.
        electronic_temperature: kelvin, of the computation.
        json, html: files to write.
    """

    smiles: str | None = None
    against: str | None = None
    biased: bool = False
    sample: int = SAMPLE
    electronic_temperature: float | None = None
    json: Path | None = None
    html: Path | None = None


def check(request: Request, options: CheckOptions) -> bool:
    """Examine a set or files; whether there is no defect.

    Raises:
        UserError: nothing to read, or whatever reading finds; a SMILES string that is none.
    """
    errors = Console(stderr=True)
    for file in (options.json, options.html):
        if file is not None:
            check_writable(file.parent)
    gathered = gather(request)
    if not (len(request.sources) == 1 and is_set(request.sources[0])):
        read = "; ".join(gathered.remarks)
        errors.print(f"{gathered.name}: {read}", soft_wrap=True)
    frames = gathered.frames
    if is_large(frames):
        frames = sampled(frames)
        errors.print(f"examines {len(frames):,} of the {len(gathered.frames):,} frames")
    subject = Subject(
        frames,
        gathered.name,
        "biased" if options.biased else "potential",
        gathered.sheet,
        options.smiles,
        catalogue.load(options.against) if options.against else None,
        request.words,
        gathered.units,
    )
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("GFN-xTB labels of a sample", total=options.sample)
        report = full_examination(
            subject,
            options.sample,
            options.electronic_temperature,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    facts = {"frames": len(subject.frames), "atoms": len(subject.frames.numbers)}
    sound = show_findings(_title(report), report.findings, options.json, name=subject.name, **facts)
    if options.html is not None:
        from deepset_bench.checks.web_page import page

        write_text(options.html, page(report))
        say(options.html)
    return sound


def show_findings(title: str, findings: list[Finding], file: Path | None, **facts: Any) -> bool:
    """Print findings, write them as JSON where a file is given; whether there is no defect.

    Args:
        title: what was examined.
        findings: what was found.
        file: JSON file, or None.
        facts: what the file holds beside verdict and findings.
    """
    show(Console(), title, findings)
    if file is not None:
        content = {**facts, "verdict": worst(findings), "findings": [as_dict(f) for f in findings]}
        write_text(file, json.dumps(content, indent=2) + "\n")
        say(file)
    return worst(findings) != "defect"


def _title(report: Report) -> str:
    frames = report.subject.frames
    fewest, most = frames.n_atoms.min(), frames.n_atoms.max()
    atoms = str(most) if fewest == most else f"{fewest}-{most}"
    return f"{report.subject.name}, {len(frames):,} frames of {atoms} atoms"
