"""`bench tables`: which tables, in which format, where to."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Literal

import pandas as pd

from deepset_bench.console import Console
from deepset_bench.errors import UserError
from deepset_bench.files import check_writable, csv_text, write_text
from deepset_bench.scoring.table import Metric
from deepset_bench.scoring.table import chosen as of_names
from deepset_bench.study import comparisons, generalisation, render
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where
from deepset_bench.study.gaps import LEFT_OUT, left_out
from deepset_bench.study.published import PARTS
from deepset_bench.study.sections import Page, claims_page, page
from deepset_bench.study.tables import Table, build
from deepset_bench.surroundings import say

Format = Literal["terminal", "markdown", "latex", "csv"]
CLAIMS = "claims"
_ENDING = {"terminal": "txt", "markdown": "md", "latex": "tex", "csv": "csv"}
_FILE_WIDTH = 120


def show(
    wanted: Sequence[str],
    conditions: Sequence[str],
    unit: str,
    style: Format,
    part: str,
    out: Path | None,
    where: Where,
    metrics: Sequence[str] = (),
) -> None:
    """Print tables, or write each to a file of its own.

    Args:
        wanted: numbers of the report's tables, names of sweeps, `claims`, `generalisation`. None:
            Tables 1 to 7, other sweeps that have runs, and the claims.
        conditions: of `report` and `corrected`.
        unit: `hartree` or `mev`.
        style: CSV has every part, and several tables in one; printed, it has no claims beside
            tables.
        part: `mean` (of test and val), `test`, `val` or `all`.
        out: folder for the files; None prints.
        where: which runs.
        metrics: names of those to show, with commas between or not; none: the usual ones.

    Raises:
        UserError: an unknown sweep or metric, an override that does not compose, an unreadable run.
    """
    alone = {CLAIMS, generalisation.FAMILY} & set(wanted)
    if style == "csv" and out is None and len(set(wanted)) > 1 and alone:
        raise UserError(
            f"{min(alone)} and tables have different columns: ask for one, or --out DIR for files"
        )
    if out is not None:
        check_writable(out)
    if metrics and alone:
        raise UserError(f"--metric is for tables; {min(alone)} has columns of its own")
    tables = chosen(wanted, conditions, where, of_names(metrics))
    closing = None
    if CLAIMS in wanted or (not (wanted or metrics) and (style != "csv" or out is not None)):
        closing = claims(conditions, where)
    if style == "csv":
        texts = {"tables": render.csv(tables, unit)} if tables else {}
        others = [closing] if closing is not None else []
        if closing is not None:
            texts[CLAIMS] = csv_text(closing)
        if generalisation.FAMILY in wanted:
            others.append(generalisation.rows(where))
            texts[generalisation.FAMILY] = csv_text(others[-1])
        lines = [line for table in tables for line in left_out(table.runs)]
        lines += [line for frame in others for line in frame.attrs[LEFT_OUT]]
        for line in dict.fromkeys(lines):  # beside the numbers, which a program reads
            say(line, error=True)
    else:
        parts = PARTS if part == "all" else (part,)
        pages = [page(table, unit, parts) for table in tables]
        pages += [claims_page(closing)] if isinstance(closing, pd.DataFrame) else []
        pages += [generalisation.page(unit, where)] if generalisation.FAMILY in wanted else []
        if style == "terminal" and out is None:
            for one in pages:
                render.terminal(one, Console())
            return
        texts = {one.name: _text(one, style) for one in pages}
    if out is None:
        say("\n".join(texts.values()), end="")
        return
    for name, text in texts.items():
        path = out / f"{name}.{_ENDING[style]}"
        write_text(path, text)
        say(path)


def chosen(
    wanted: Sequence[str],
    conditions: Sequence[str],
    where: Where,
    metrics: Sequence[Metric] = (),
) -> list[Table]:
    """The tables of these names; of none: Tables 1 to 7, and other sweeps that have runs."""
    if wanted:
        other = (CLAIMS, generalisation.FAMILY)
        sweeps = [comparisons.asked_for(name, other) for name in wanted if name not in other]
        return [build(sweep, conditions, where, metrics) for sweep in sweeps]
    every = comparisons.every()
    numbered = [build(sweep, conditions, where, metrics) for sweep in every if sweep.table]
    # The sweep of all the report's runs repeats its tables.
    rest = [sweep for sweep in every if not sweep.table and sweep.name != "report"]
    extra = [build(sweep, conditions, where, metrics) for sweep in rest]
    return numbered + [t for t in extra if any(t.frame[t.frame.kind == "run"].n > 0)]


def _text(one: Page, style: Format) -> str:
    if style == "markdown":
        return render.markdown(one)
    if style == "latex":
        return render.latex(one)
    if style != "terminal":
        raise UserError(f"--format {style} is not known here")
    stream = StringIO()
    render.terminal(one, Console(file=stream, width=_FILE_WIDTH))
    return stream.getvalue()
