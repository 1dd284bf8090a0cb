"""`bench time`: which rows take turns, where their times are kept, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from deepset_bench.console import Console
from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.files import check_writable, write_text
from deepset_bench.record import TIMES
from deepset_bench.results import kept_times
from deepset_bench.runs import RunsFolder
from deepset_bench.study import render
from deepset_bench.study.collect import Where, conditions_of
from deepset_bench.study.sections import times_page
from deepset_bench.study.tables_command import asked_for, conditions_shown
from deepset_bench.study.time_tables import times_of
from deepset_bench.study.timed_steps import How, timed
from deepset_bench.study.times import row_of
from deepset_bench.sweep.comparisons import file_name


def measure(wanted: Sequence[str], conditions: Sequence[str], how: How, where: Where) -> None:
    """Measure each study that is named, write its file and print its tables.

    Args:
        wanted: studies, comparisons, numbers of tables; none: the study at hand, or what the
            overrides list.
        conditions: of the rows; none: those of the study.
        how: see `How`.
        where: which runs, beside which the file is written.

    Raises:
        NotInstalled: no row's network is.
        UserError: an unknown study, overrides that do not compose, rows that need several devices
            or numbers of threads, a table of results in place of a folder.
    """
    studies, where = asked_for(wanted, where)
    if not isinstance(where.runs, RunsFolder):
        raise UserError(f"{where.runs_dir}: is a table, which takes no times; name a folder")
    check_writable(where.runs.root)
    console = Console()
    for study in studies:
        shown = conditions_shown(study, conditions)
        sweeps = [(one, conditions_of(one, shown)) for one in study.shown]
        rows = [
            (run.label, condition, row_of(run, condition, where))
            for sweep, those in sweeps
            for condition in those
            for run in sweep.runs
        ]

        def say(line: str) -> None:
            console.print(line, soft_wrap=True)

        lacking = {label: row.config.network.to_install for label, _, row in rows}
        lines = [f"{label}: not installed: {by}" for label, by in lacking.items() if by]
        if lines and len(lines) == len(lacking):
            raise NotInstalled("; ".join(lines))
        for line in lines:
            say(f"{line}; it has no turn")
        rows = [row for row in rows if not lacking[row[0]]]
        names = [study.name] if study.whole else [sweep.name for sweep, _ in sweeps]
        asked = [f"condition={','.join(conditions)}"] if conditions else []
        name = file_name(" ".join(["+".join(names), *where.overrides, *asked]))
        with console.status("") as status:
            timing = timed(name, rows, how, say=say, watch=status.update)
        path = where.runs.root / TIMES / f"{name}.json"
        write_text(path, kept_times.text(timing.content()))
        for sweep, those in sweeps:
            render.terminal(times_page(times_of(sweep, those, where), those), console)
        console.print(str(path), soft_wrap=True)
