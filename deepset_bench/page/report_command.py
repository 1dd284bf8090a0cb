"""`bench report`: everything that the runs say, as one HTML page that needs nothing else."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib

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
from deepset_bench.page.spoken import asked, spoken, tables_of
from deepset_bench.reading import read_yaml
from deepset_bench.study import generalisation
from deepset_bench.study import sections as blocks
from deepset_bench.study.answer import answers
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where, conditions_of, under
from deepset_bench.study.published import published
from deepset_bench.study.tables_command import asked_for, conditions_shown
from deepset_bench.surroundings import say
from deepset_bench.sweep.studies import Study

CORRECTIONS = "corrections.yaml"


def show(
    words: Sequence[str], conditions: Sequence[str], out: Path, unit: str, where: Where
) -> None:
    """Write the page and print its path.

    Args:
        words: a study, or comparisons of one; none: the study at hand, or what the overrides list.
        conditions: to show; none: those of the study.
        out: the file; one that ends in .md gets the words of the page alone.
        unit: `hartree` or `mev`.
        where: which runs.

    Raises:
        UserError: no run is done; an override that does not compose, an unreadable run.
    """
    if out.is_file() or not out.exists():  # else a device
        check_writable(out.parent)
    with Console(stderr=True).status("reading runs") as status:
        studies, where = asked_for(words, where)
        if len(studies) > 1:
            raise UserError(f"{' '.join(words)}: a page shows one study; name only one")
        if out.suffix == ".md":
            text = spoken(studies[0], conditions, unit, where)
        else:
            text = page(studies[0], words, conditions, unit, where, status.update)
        write_text(out, text)
    say(out)


def page(
    study: Study,
    words: Sequence[str],
    conditions: Sequence[str],
    unit: str,
    where: Where,
    say: Any = lambda _: None,
) -> str:
    """The whole page of a study.

    Args:
        study: whose.
        words: that stand for it on the command line.
        conditions: to show; none: those of the study.
        unit: `hartree` or `mev`.
        where: which runs.
        say: called with what is being done.

    Raises:
        UserError: see `show`.
    """
    shown = conditions_shown(study, conditions)
    known, table = published(study), tables_of(study, shown, where)
    tables = [table(one.name) for one in study.tables]
    unseen = generalisation.page(study, shown, unit, where) if study.unseen else None
    if not any((one.runs.state == "done").any() for one in tables) and not (
        unseen and unseen.blocks
    ):
        first = study.shown[0]
        fill = shlex.join(["bench", "sweep", *first.file, *where.overrides, *where.dir])
        raise UserError(f"{where.runs.root}: no finished run of {study.title!r}; {fill} makes some")
    there = [one for one in tables if one.sweep.table or (one.runs.state == "done").any()]
    closing = claims(study, shown, where, unit=unit)
    answered = answers(study, [table(one.name) for one in asked(study)], unit)
    origin = provenance(there, unit, where)
    links = {str(v.folder): f"#run-{number}" for number, v in enumerate(origin.variants, 1)}
    links |= {one.sweep.name: f"#sweep-{one.sweep.name}" for one in there}
    links = dict.fromkeys(study.comparisons, "#tables") | links
    links |= {name: f"#{name}" for name in ("tables", "claims", "runs")}
    said = findings(study, table, closing, unit)
    say("examining data")
    examined = examinations(study, shown, where)
    say("drawing figures")
    drawn = [
        _drawn(figure) for figure in figures.build(figures.of_study(study), where, shown, unit)
    ]
    from plotly.offline import get_plotlyjs

    return html.render(
        "report.html",
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        command=command(words, conditions, unit, where),
        root=str(where.runs.root),
        study=study,
        answers=answered,
        said=said,
        claims=blocks.claims_page(study, closing) if len(closing) else None,
        corrections=corrections(study),
        examined=examined,
        tables=[
            (blocks.page(one, unit, [one.part]), bool((one.runs.state == "done").any()))
            for one in there
        ],
        printed=bool(known.content),
        unseen=unseen if unseen and unseen.blocks else None,
        figures=drawn,
        origin=origin,
        links=links,
        ranges=ranges,
        listed=listed,
        plotly=get_plotlyjs(),
        plots={it["figure"].name: it["data"] for it in drawn if it["data"]},
        templates=templates(),
    )


def command(words: Sequence[str], conditions: Sequence[str], unit: str, where: Where) -> str:
    """What a person types for the same page; see `page`."""
    typed = ["bench", "report", *words, *where.overrides]
    typed += ["--condition", ",".join(conditions)] if conditions else []
    typed += ["--unit", unit] if unit != "hartree" else []
    typed += ["--runs-dir", str(where.runs_dir)] if where.runs_dir else []
    return shlex.join(typed)


def corrections(study: Study) -> dict[str, Any] | None:
    """What a study says was wrong elsewhere: title, words, and what turns each flaw off.

    Raises:
        UserError: its `corrections.yaml` is not as it is to be.
    """
    path = study.file(CORRECTIONS)
    if path is None:
        return None
    content = read_yaml(path)
    keys = {"title", "words", "flaws"}
    if not isinstance(content, dict) or set(content) != keys:
        raise UserError(f"{path}: must be a mapping with the keys {', '.join(sorted(keys))}")
    flaws = content["flaws"]
    each = {"flaw", "switch", "shows"}
    if not isinstance(flaws, list) or not all(
        isinstance(o, dict) and set(o) == each for o in flaws
    ):
        raise UserError(f"{path}: flaws must be a list with flaw, switch and shows each")
    return content


def examinations(study: Study, conditions: Sequence[str], where: Where) -> list[dict[str, Any]]:
    """What `bench data check` says of every set and kind of labels that the runs are trained on.

    Of a set that is not here, as results may be read without it, there are no `frames` (None).
    """
    wanted: dict[tuple[str, str], list[str]] = {}
    for one in study.shown:
        for condition in conditions_of(one, conditions):
            for run in one.runs:
                try:
                    lines = [*run.overrides, *where.overrides, *under(condition)]
                    config = experiment(lines).config
                except UserError:  # a row that cannot take the overrides, which its table says
                    continue
                for name in config.sets:
                    named = wanted.setdefault((name, config.condition.labels), [])
                    named += [condition] if condition and condition not in named else []
    found = []
    for (name, labels), conditions in wanted.items():
        about: dict[str, Any] = {"name": name, "labels": labels, "conditions": conditions}
        if name not in catalogue.names():
            found.append({**about, "frames": None})
            continue
        subject = Subject(
            catalogue.load(name), name, labels, catalogue.datasheet(name), source=name
        )
        report = full_examination(subject)
        found.append(
            {
                **about,
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
