"""An examination as one HTML page that needs nothing else."""

from __future__ import annotations

from deepset_bench import html
from deepset_bench.checks.finding import listed, ranges, sorted_by_verdict
from deepset_bench.checks.full import Report
from deepset_bench.checks.plots import pictures


def page(report: Report) -> str:
    """The whole page; it follows the reader's light or dark scheme."""
    subject = report.subject
    return html.render(
        "check.html",
        title=f"{subject.name}: {len(subject.frames):,} frames",
        verdict=report.verdict,
        findings=sorted_by_verdict(report.findings),
        pictures=pictures(report),
        source=subject.source,
        ranges=ranges,
        listed=listed,
    )
