"""An examination as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape

from deepset_bench import __version__
from deepset_bench.data.checks.finding import VERDICTS, Finding, listed, ranges
from deepset_bench.data.checks.full import Report
from deepset_bench.data.checks.plots import pictures

_STYLE = """
:root { --ink: #1f2328; --soft: #59636e; --line: #b7bdc4; --paper: #ffffff; --card: #f6f8fa;
  --defect: #c0341d; --suspect: #9a6700; --ok: #1a7f37; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #4a525c;
  --paper: #0d1117; --card: #161b22; --defect: #ff7b66; --suspect: #e3b341; --ok: #56d364; } }
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid var(--line); padding: .45rem .7rem .45rem 0; vertical-align: top; }
td:first-child, td:nth-child(2) { white-space: nowrap; }
.defect { color: var(--defect); font-weight: 700; } .suspect { color: var(--suspect); }
.ok { color: var(--ok); } .not-run, .where { color: var(--soft); }
.advice { background: var(--card); border-radius: 4px; display: inline-block; padding: 0 .4rem;
  overflow-wrap: anywhere; }
figure { margin: 1.2rem 0; } figcaption { color: var(--soft); }
svg { max-width: 100%; height: auto; }
svg text { font-family: system-ui, sans-serif !important; }
"""


def page(report: Report) -> str:
    """The whole page; it follows the reader's light or dark scheme."""
    subject, verdict = report.subject, report.verdict
    ordered = sorted(report.findings, key=lambda f: -VERDICTS.index(f.verdict))
    rows = "\n".join(map(_row, ordered))
    figures = "\n".join(
        f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>"
        for caption, svg in pictures(report)
    )
    title = f"{escape(subject.name)}: {len(subject.frames):,} frames"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: {verdict}</title><style>{_STYLE}</style></head><body>
<h1>{title}: <span class="{verdict}">{verdict}</span></h1>
<table>
{rows}
</table>
<h2>What the numbers look like</h2>
{figures}
<p class="where">bench data check {escape(subject.source)}, deepset-bench {__version__}.
Frames and atoms are counted from 0.</p>
</body></html>
"""


def _row(finding: Finding) -> str:
    lines = [escape(finding.text)]
    if finding.verdict in ("defect", "suspect"):
        where = []
        if finding.frames:
            where.append(f"frames {ranges(finding.frames)}")
        if finding.atoms:
            where.append(f"atoms {listed(finding.atoms)}")
        if where:
            lines.append(f'<span class="where">{escape("; ".join(where))}</span>')
    if finding.advice:
        lines.append(f'<span class="advice">{escape(finding.advice)}</span>')
    grade = finding.verdict.replace(" ", "-")
    return (
        f'<tr><td class="{grade}">{finding.verdict}</td><td>{escape(finding.check)}</td>'
        f"<td>{'<br>'.join(lines)}</td></tr>"
    )
