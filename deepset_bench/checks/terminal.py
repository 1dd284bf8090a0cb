"""An examination in the terminal: what is wrong first, and what to do about it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deepset_bench.checks.finding import Finding, ranges, sorted_by_verdict, worst
from deepset_bench.console import Console

COLOURS = {"defect": "bold red", "suspect": "yellow", "ok": "green", "not run": "dim"}


def show(console: Console, title: str, findings: list[Finding]) -> None:
    """Print the verdict, then every finding, the most harmful first."""
    verdict = worst(findings)
    console.print(Text.assemble((title, "bold"), ": ", (verdict, COLOURS[verdict])))
    console.print(findings_table(findings))


def findings_table(findings: list[Finding]) -> RenderableType:
    """One row a finding: verdict, check, and what was found with the advice under it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, max_width=24)
    table.add_column(ratio=1)
    for finding in sorted_by_verdict(findings):
        grave = finding.verdict in ("defect", "suspect")
        what: list[RenderableType] = [Text(finding.text, style="" if grave else "dim")]
        if grave and finding.frames:
            what.append(Text(f"frames {ranges(finding.frames)} (counted from 0)", style="dim"))
        if finding.advice:
            what.append(Text(f"→ {finding.advice}", style="cyan"))
        table.add_row(
            Text(finding.verdict, style=COLOURS[finding.verdict]),
            finding.check,
            Padding(Group(*what), (0, 0, 1 if grave else 0, 0)),
        )
    return table
