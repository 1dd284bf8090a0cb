"""`bench report`: everything that the runs say, as one HTML page that needs nothing else."""

from __future__ import annotations

import dataclasses
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib
import yaml

from deepset_bench import html
from deepset_bench.checks.finding import listed, ranges, sorted_by_verdict
from deepset_bench.checks.full import full_examination
from deepset_bench.checks.subject import Subject
from deepset_bench.config import experiment
from deepset_bench.console import Console
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.figures import offered as figures
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.interactive import plot, templates
from deepset_bench.figures.style import INK, LINE, PAPER, RC
from deepset_bench.files import check_writable, write_text
from deepset_bench.page.findings import findings
from deepset_bench.page.provenance import provenance
from deepset_bench.runs import runs_root
from deepset_bench.study import comparisons, generalisation
from deepset_bench.study import sections as blocks
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where
from deepset_bench.study.tables import build
from deepset_bench.study.tables_command import chosen
from deepset_bench.surroundings import say

CONDITIONS = ("report", "corrected")
FLAWS = Path(__file__).with_name("flaws.yaml")


def show(out: Path, unit: str, where: Where) -> None:
    """Write the page and print its path.

    Args:
        out: the file.
        unit: `hartree` or `mev`.
        where: which runs.

    Raises:
        UserError: no run is done; an override that does not compose, an unreadable run.
    """
    if out.is_file() or not out.exists():  # else a device
        check_writable(out.parent)
    with Console(stderr=True).status("reading runs") as status:
        write_text(out, page(unit, where, status.update))
    say(out)


def page(unit: str, where: Where, say: Any = lambda _: None) -> str:
    """The whole page.

    Args:
        unit: `hartree` or `mev`.
        where: which runs.
        say: called with what is being done.

    Raises:
        UserError: see `show`.
    """
    every = build(comparisons.shipped("report"), CONDITIONS, where)
    shown = chosen((), CONDITIONS, where)
    if not any((table.runs.state == "done").any() for table in (every, *shown)):
        fill = shlex.join(["bench", "sweep", "sweeps/table_2.yaml", *where.overrides, *where.dir])
        root = where.runs_dir or runs_root(None)
        raise UserError(f"{root}: no finished run of the report's tables; {fill} makes some")
    closing = claims(CONDITIONS, where)
    unseen = generalisation.page(unit, where)
    origin = provenance(shown, unit, where)
    links = {str(v.folder): f"#run-{number}" for number, v in enumerate(origin.variants, 1)}
    links |= {table.sweep.name: f"#sweep-{table.sweep.name}" for table in shown}
    links |= {name: f"#{name}" for name in ("tables", "claims", "runs")} | {"report": "#tables"}
    say("examining data")
    examined = examinations(where)
    say("drawing figures")
    drawn = [_drawn(figure) for figure in figures.build(figures.report(), where, CONDITIONS, unit)]
    from plotly.offline import get_plotlyjs

    command = ["bench", "report", *where.overrides]
    command += [] if where.runs_dir is None else ["--runs-dir", str(where.runs_dir)]
    return html.render(
        "report.html",
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        command=shlex.join(command + (["--unit", unit] if unit != "hartree" else [])),
        root=str(where.runs_dir or runs_root(None)),
        said=findings(every, closing, unit),
        claims=blocks.claims_page(closing),
        flaws=yaml.safe_load(FLAWS.read_text(encoding="utf-8")),
        examined=examined,
        tables=[
            (blocks.page(table, unit, ["mean"]), bool((table.runs.state == "done").any()))
            for table in shown
        ],
        unseen=unseen if unseen.blocks else None,
        figures=drawn,
        origin=origin,
        links=links,
        ranges=ranges,
        listed=listed,
        plotly=get_plotlyjs(),
        plots={it["figure"].name: it["data"] for it in drawn if it["data"]},
        templates=templates(),
    )


def examinations(where: Where) -> list[dict[str, Any]]:
    """What `bench data check` says of every set and kind of labels that the runs are trained on."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for condition in CONDITIONS:
        config = experiment([*where.of_data, f"condition={condition}"]).config
        wanted.setdefault((config.data.name, config.condition.labels), []).append(condition)
    found = []
    for (name, labels), conditions in wanted.items():
        subject = Subject(
            catalogue.load(name), name, labels, catalogue.datasheet(name), source=name
        )
        report = full_examination(subject)
        found.append(
            {
                "name": name,
                "labels": labels,
                "conditions": conditions,
                "frames": len(subject.frames),
                "verdict": report.verdict,
                "findings": sorted_by_verdict(report.findings),
                "command": f"bench data check {name}{' --biased' * (labels == 'biased')}",
            }
        )
    return found


def _drawn(figure: Figure) -> dict[str, Any]:
    """A figure in both forms: SVG for paper and without scripts, JSON for plotly."""
    svg = data = None
    if figure.draw is not None and figure.interactive is not None:
        try:
            with matplotlib.rc_context(RC):
                colours = {INK: "ink", LINE: "line", PAPER: "paper"}
                svg = html.svg(figure.draw(), figure.name, colours)
            data = plot(figure.interactive())
        except UserError as error:  # of these data; other figures may do without them
            gaps = [*figure.missing, (f"not drawn: {error}", "")]
            return {"figure": dataclasses.replace(figure, missing=gaps), "svg": None, "data": None}
    return {"figure": figure, "svg": svg, "data": data}
