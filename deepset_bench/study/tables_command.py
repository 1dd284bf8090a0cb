"""`bench tables`: which tables, in which format, where to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Literal

import pandas as pd

from deepset_bench import replicate
from deepset_bench.console import Console
from deepset_bench.errors import UserError, nearest
from deepset_bench.files import check_writable, csv_text, write_text
from deepset_bench.groups import groups, is_override
from deepset_bench.overrides import parse
from deepset_bench.runs import runs_root
from deepset_bench.scoring.table import Metric
from deepset_bench.scoring.table import chosen as of_names
from deepset_bench.study import generalisation, render
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where
from deepset_bench.study.columns import PARTS
from deepset_bench.study.gaps import LEFT_OUT, left_out
from deepset_bench.study.layout import Page
from deepset_bench.study.sections import claims_page, page
from deepset_bench.study.tables import Table, of_study
from deepset_bench.surroundings import say
from deepset_bench.sweep import comparisons
from deepset_bench.sweep.folders import usual
from deepset_bench.sweep.studies import Study, of_words

Format = Literal["terminal", "markdown", "latex", "csv"]
CLAIMS = "claims"
_ENDING = {"terminal": "txt", "markdown": "md", "latex": "tex", "csv": "csv"}
_FILE_WIDTH = 120


def show(
    wanted: Sequence[str],
    conditions: Sequence[str],
    unit: str,
    style: Format,
    part: str | None,
    out: Path | None,
    where: Where,
    metrics: Sequence[str] = (),
) -> None:
    """Print tables, or write each to a file of its own.

    Args:
        wanted: studies, comparisons, numbers of tables, `claims`; none: the study at hand, or what
            the overrides list.
        conditions: to show; none: those of the study.
        unit: `hartree` or `mev`.
        style: CSV has every part, and several tables in one; printed, it has no claims beside
            tables.
        part: of `columns.PARTS`, or `all`; None: what is printed where there is something
            printed, else see `judged_on`.
        out: folder for the files; None prints.
        where: which runs.
        metrics: names of those to show, with commas between or not; none: the usual ones.

    Raises:
        UserError: an unknown study or metric, an override that does not compose, an unreadable run.
    """
    studies, where = asked_for(wanted, where)
    apart = [CLAIMS] * (CLAIMS in wanted) + [one.name for one in studies if one.unseen]
    if style == "csv" and out is None and len(set(wanted)) > 1 and apart:
        raise UserError(
            f"{min(apart)} and tables have different columns: ask for one, or --out DIR for files"
        )
    if out is not None:
        check_writable(out)
    if metrics and apart:
        raise UserError(f"--metric is for tables; {min(apart)} has columns of its own")
    parts = PARTS if part == "all" else (part,) if part else ()
    pages: list[Page] = []
    tables: list[Table] = []
    frames: dict[str, pd.DataFrame] = {}
    for study in studies:
        shown = conditions_shown(study, conditions)
        claims_alone = CLAIMS in wanted and study.whole
        found = [] if claims_alone else chosen(study, shown, where, of_names(metrics))
        unseen = study.unseen and not claims_alone
        closing = pd.DataFrame()
        if CLAIMS in wanted or (
            study.whole and not metrics and (style != "csv" or (out is not None and study.tables))
        ):
            on = part if part in PARTS else None
            closing = claims(study, shown, where, on, unit=unit)
        claimed = CLAIMS in wanted or len(closing) > 0
        if style == "csv":
            tables += found
            frames |= {_claims_of(study, studies): closing} if claimed else {}
            frames |= {study.name: generalisation.rows(study, shown, where)} if unseen else {}
        else:
            pages += [page(table, unit, parts or (table.part,)) for table in found]
            name = _claims_of(study, studies)
            pages += [replace(claims_page(study, closing), name=name)] if claimed else []
            pages += [generalisation.page(study, shown, unit, where)] if unseen else []
    if style == "terminal" and out is None:
        for one in pages:
            render.terminal(one, Console())
        return
    texts = {one.name: _text(one, style) for one in pages}
    if style == "csv":
        texts = _csv(tables, frames, unit)
    if out is None:
        say("\n".join(texts.values()), end="")
        return
    for name, text in texts.items():
        path = out / f"{name}.{_ENDING[style]}"
        write_text(path, text)
        say(path)


def _claims_of(study: Study, studies: Sequence[Study]) -> str:
    """What claims of a study are called, among those of others."""
    return CLAIMS if len(studies) == 1 else f"{study.name}_{CLAIMS}"


def _csv(tables: Sequence[Table], frames: Mapping[str, pd.DataFrame], unit: str) -> dict[str, str]:
    """Texts by the names of their files; what was left out is said beside them, line by line."""
    lines = [line for table in tables for line in left_out(table.runs)]
    lines += [line for frame in frames.values() for line in frame.attrs[LEFT_OUT]]
    for line in dict.fromkeys(lines):  # on the other stream: a program reads the numbers
        say(line, error=True)
    texts = {"tables": render.csv(tables, unit)} if tables else {}
    return texts | {name: csv_text(frame) for name, frame in frames.items()}


def after_sweep(arguments: Sequence[str]) -> None:
    """Print the table of what `bench sweep` was asked for; nothing where it compares nothing.

    A comparison that was typed is kept as a file under the runs, too.

    Args:
        arguments: of `bench sweep`.
    """
    words, conditions, where = _of_sweep(arguments)
    studies, _, _ = swept(arguments)
    if not any(s.unseen or any(one.compares for one in s.tables) for s in studies):
        return
    if studies[0].folder is None and not words:
        place = runs_root(where.runs_dir) / "sweeps"
        say(f"kept as {comparisons.write(studies[0].tables[0], place)}")
    show(words, conditions, "hartree", "terminal", None, None, where)


def swept(arguments: Sequence[str]) -> tuple[list[Study], list[str], Where]:
    """The studies that `bench sweep` trains runs of, the conditions that are typed, and the runs.

    There is no study where the arguments are runs of one variant.

    Raises:
        UserError: there is no such study, or a mistake in its files.
    """
    words, conditions, where = _of_sweep(arguments)
    studies, where = asked_for(words, where)
    return ([] if not words and studies[0].folder == usual() else studies), conditions, where


def _of_sweep(arguments: Sequence[str]) -> tuple[list[str], list[str], Where]:
    """The arguments of `bench sweep` as words, conditions and runs, for `asked_for` and `show`."""
    words = [text for text in arguments if not is_override(text)]
    rest: list[str] = []
    given: dict[str, str] = {}
    for override in parse([text for text in arguments if is_override(text)]):
        key, line = str(override.key_or_group), str(override.input_line)
        if key in ("condition", "runs_dir"):
            value = override.value()
            given[key] = line.partition("=")[2] if key == "condition" else str(value)
        elif key not in replicate.KEYS:
            rest.append(line)
    where = Where(tuple(rest), Path(given["runs_dir"]) if "runs_dir" in given else None)
    conditions = given.get("condition", "").strip("[]").split(",") if "condition" in given else []
    return words, conditions, where


def asked_for(wanted: Sequence[str], where: Where) -> tuple[list[Study], Where]:
    """The studies that a person names; axes are taken out of the overrides of every run.

    Raises:
        UserError: there is no such study, or a mistake in its files.
    """
    studies = of_words([word for word in wanted if word != CLAIMS], where.overrides)
    if studies[0].folder is None and studies[0].tables[0].file == where.overrides:
        where = replace(where, overrides=())
    return studies, where


def conditions_shown(study: Study, conditions: Sequence[str]) -> list[str]:
    """The conditions to show: those asked for, else the study's; a usual one has no name.

    Raises:
        UserError: there is none of a name that is asked for.
    """
    known = groups()["condition"]
    if unknown := next((name for name in conditions if name not in known), None):
        raise UserError(f"unknown condition {unknown!r}; {nearest(unknown, known)}")
    return list(dict.fromkeys(conditions)) or list(study.conditions) or [""]


def chosen(
    study: Study, conditions: Sequence[str], where: Where, metrics: Sequence[Metric] = ()
) -> list[Table]:
    """The tables of a study: of a whole one without those that have neither number nor run."""
    every = [of_study(study, one, conditions, where, metrics) for one in study.tables]
    if not study.whole:
        return every
    there = [t for t in every if t.sweep.table or any(t.frame[t.frame.kind == "run"].n > 0)]
    return there or every


def _text(one: Page, style: Format) -> str:
    if style == "markdown":
        return render.markdown(one)
    if style == "latex":
        return render.latex(one)
    stream = StringIO()
    render.terminal(one, Console(file=stream, width=_FILE_WIDTH))
    return stream.getvalue()
