"""`bench results`: which runs go into a table, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.files import check_writable
from deepset_bench.groups import is_override
from deepset_bench.overrides import check_once
from deepset_bench.record import RunRecord
from deepset_bench.results import epochs, exporting, kept_times, restoring, storage, stored
from deepset_bench.study.collect import Where, collect, conditions_of
from deepset_bench.study.tables_command import asked_for, conditions_shown
from deepset_bench.study.times import identities, timings
from deepset_bench.surroundings import say
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.studies import Study


def export(words: Sequence[str], file: Path, runs_dir: Path | None) -> None:
    """Write the runs that are there, and say where.

    Args:
        words: studies, comparisons, numbers of tables, and overrides of all their runs; or axes;
            none: every run.
        file: of the table.
        runs_dir: where the runs are.

    Raises:
        UserError: no run is there; an unknown study, an override that does not compose.
    """
    storage.ending(file)
    check_writable(file.parent)
    overrides = [word for word in words if is_override(word)]
    names = [word for word in words if word not in overrides]
    check_once(overrides)
    where = Where(tuple(overrides), runs_dir)
    measured, damaged = timings(where.runs)
    for line in damaged:
        say(line, error=True)
    if words:
        studies, where = asked_for(names, where)
        runs = _runs(studies, where)
        wanted = {identity for study in studies for identity in _steps(study, where)}
        measured = [part for one in measured if (part := one.part(wanted))]
    else:
        runs = list(where.runs.every())
    if not runs:
        raise UserError(f"{where.runs.root}: holds no run{' of ' * bool(words)}{' '.join(words)}")
    times = {one.name: one.content() for one in sorted(measured, key=lambda one: one.name)}
    files = exporting.export(where.runs, runs, file, times)
    others = {epochs.beside(file): "their epochs", kept_times.beside(file): "times of steps"}
    named = [f"{others[path]} in {path}" for path in files[1:]]
    beside = f", with {' and '.join(named)}" if named else ""
    say(f"{file}: {len(runs)} run{'s' * (len(runs) > 1)}{beside}")


def _sweeps(study: Study) -> Iterable[Comparison]:
    return study.comparisons.values() if study.whole else study.shown


def _runs(studies: Sequence[Study], where: Where) -> list[RunRecord]:
    """The runs of these studies and comparisons, each once."""
    found: dict[Path, RunRecord] = {}
    for study in studies:
        for sweep in _sweeps(study):
            for run in collect(sweep, conditions_shown(study, ()), where).run:
                if run is not None and run.is_run():
                    found[run.path] = run
    return list(found.values())


def _steps(study: Study, where: Where) -> Iterable[str]:
    """The identities of the steps of its rows."""
    for sweep in _sweeps(study):
        shown = conditions_shown(study, ())
        yield from identities(sweep, conditions_of(sweep, shown), where).values()


def import_(file: Path, runs_dir: Path | None) -> None:
    """Make the folders of runs of a table, and say where.

    Args:
        file: of the table.
        runs_dir: for the folders; None for the table's name without its ending.

    Raises:
        UserError: the table cannot be used; a run is there and is another.
    """
    table = stored.read(file)
    root = table.root if runs_dir is None else runs_dir
    count, there = restoring.restore(table, root)
    kept = f"; {there} files were there already" if there else ""
    say(f"{root}: {count} run{'s' * (count > 1)}, without checkpoints{kept}")
