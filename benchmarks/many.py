"""Very many runs: what one costs beside its steps, and how long reading their folders takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.tables import Table
from benchmarks.timing import of_threads
from deepset_bench.runs import METRICS, RESULT, STATUS
from deepset_bench.sweep.plan import plan

TINY = [
    *(f"data.{part}_size=20" for part in ("train", "val", "test")),
    *("data.held_out_size=0", "device=cpu"),
]
ONE = "trainer.epochs=1"
FEW, MORE = 2, 12
"""Seeds of two sweeps, whose difference is what each further run takes."""
COUNTS = (1_000, 10_000, 100_000)
SEEDS = 10
BEYOND, OF_STATUS, OF_TABLES = 0.3, 2.0, 10.0
"""Bars: seconds of the processor for a run beyond its steps; for 10,000 folders."""
PROGRAM = [sys.executable, "-c", "from deepset_bench.cli import main; main()"]


def measure(threads: int, repeats: int) -> list[Table]:
    """Two tables; 100,000 folders are made where `repeats` is 50 or more, 10,000 from 5 on."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        return [_runs(here, threads), _folders(here, threads, 2_000 * repeats)]


def _runs(here: Path, threads: int) -> Table:
    def each(epochs: str) -> float:
        """Seconds that a further run of a sweep takes."""
        spent = []
        for seeds in (FEW, MORE):
            words = [*TINY, epochs, f"runs_dir={here}/{epochs[-1]}-{seeds}"]
            spent.append(_spent(threads, "sweep", *words, "--seeds", str(seeds), "--jobs", "1")[0])
        return (spent[1] - spent[0]) / (MORE - FEW)

    alone, _ = _spent(threads, "train", *TINY, ONE, f"runs_dir={here}/alone")
    of_sweep = each(ONE)
    beyond = 2 * of_sweep - each("trainer.epochs=2")
    rows = [
        ["a run by itself, `bench train`", f"{alone:.2f}", ""],
        ["each further run of a sweep", f"{of_sweep:.2f}", ""],
        ["of it beyond its epoch", f"{beyond:.2f}", f"{BEYOND:g}"],
        ["ratio of the first two", f"{alone / of_sweep:.1f}", ""],
    ]
    note = "Seconds of the processor, of all processes of a command, with 20 frames and one epoch."
    return Table(f"A tiny run, {of_threads(threads)}.", note, ["", "processor", "bar"], rows)


def _folders(here: Path, threads: int, most: int) -> Table:
    rows = []
    trained = next((here / "alone").rglob(RESULT)).parent
    for count in (count for count in COUNTS if count <= max(most, COUNTS[0])):
        runs, sweep = here / f"runs-{count}", here / f"many-{count}.yaml"
        sweep.write_text(_sweep(count // SEEDS), encoding="utf-8")
        planning, _ = _spent(
            threads, "sweep", str(sweep), "--seeds", str(SEEDS), f"runs_dir={runs}", "--dry-run"
        )
        _make(sweep, runs, trained)
        status, memory = _spent(threads, "status", "--runs-dir", str(runs))
        shown = ["", ""]
        if count <= 10_000:
            tables, most_memory = _spent(threads, "tables", str(sweep), "--runs-dir", str(runs))
            shown = [f"{tables:.1f}", f"{most_memory:.0f}"]
        figures = [f"{planning:.1f}", f"{status:.1f}", f"{memory:.0f}", *shown]
        bars = "" if count != 10_000 else f"{OF_STATUS:g} for status, {OF_TABLES:g} for tables"
        rows.append([f"{count:,}", *figures, bars])
    return Table(
        f"Folders of runs, {of_threads(threads)}.",
        "Seconds of the processor of `bench sweep --dry-run` before there are any, of "
        f"`bench status` and of `bench tables`, and their memory; a variant has {SEEDS} seeds.",
        ["runs", "plan", "status", "MB", "tables", "MB", "bar"],
        rows,
    )


def _sweep(variants: int) -> str:
    """A file of so many variants, which differ in a number that makes no model larger."""
    rates = [f"trainer.learning_rate={1e-3 + 1e-8 * number:.8f}" for number in range(variants)]
    rows = [{"label": f"v{n}", "overrides": [*TINY, ONE, rate]} for n, rate in enumerate(rates)]
    return json.dumps({"title": "Many", "baseline": "v0", "runs": rows})


def _make(sweep: Path, runs: Path, trained: Path) -> None:
    """The folders of a sweep's runs, all with the results of one that was trained."""
    result = json.loads((trained / RESULT).read_text(encoding="utf-8"))
    epochs = (trained / METRICS).read_text(encoding="utf-8")
    settings: dict[Path, str] = {}  # of a variant's first seed
    for run in plan([str(sweep), f"runs_dir={runs}"], SEEDS).runs:
        place = run.folder.path
        place.mkdir(parents=True)
        home = place.parent
        if home not in settings:
            run.folder.write_config(run.experiment)
            settings[home] = run.folder.config.read_text(encoding="utf-8")
        seed = f"seed: {run.experiment.config.seed}"
        run.folder.config.write_text(settings[home].replace("seed: 0", seed, 1), encoding="utf-8")
        own = {"run": run.identity, "variant": run.experiment.variant}
        (place / RESULT).write_text(json.dumps(result | own), encoding="utf-8")
        state = {"state": "done", "reason": "", "run": run.identity}
        (place / STATUS).write_text(json.dumps(state), encoding="utf-8")
        (place / METRICS).write_text(epochs, encoding="utf-8")


def _spent(threads: int, *words: str) -> tuple[float, float]:
    """Seconds of the processor and the most memory in MB of a command and what it starts."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*PROGRAM, *words], env=environment, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(words)}: {output.read().decode()[-500:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3
