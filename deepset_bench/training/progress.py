"""What a person sees of a run in the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ase.units import Bohr, Hartree
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from deepset_bench.console import Console
from deepset_bench.reading import is_number
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.runs import RunFolder
from deepset_bench.scoring.table import metrics, with_unit
from deepset_bench.training.judgement import judgement
from deepset_bench.training.loop import Epoch
from deepset_bench.training.setup import Setup
from deepset_bench.training.train import Outcome


def announce(console: Console, folder: RunFolder, setup: Setup) -> None:
    """What is about to be trained, on what, and what the data's checks say."""
    sizes = ", ".join(f"{len(part)} {name}" for name, part in setup.parts.items())
    count = sum(p.numel() for p in setup.potential.parameters())
    console.print(Text(str(folder.path), "bold"), soft_wrap=True)
    console.print(f"{sizes} frames; {count:,} parameters; {setup.device.type}")
    colour = {"ok": "green", "suspect": "yellow", "defect": "red"}[setup.verdict.verdict]
    console.print(Text.assemble("data, quick checks: ", (setup.verdict.verdict, colour)))
    for line in setup.verdict.findings:
        console.print(f"  {line}", soft_wrap=True)


def _losses(row: Epoch) -> str:
    energy = row.val_energy_mae_ev * 1000
    forces = row.val_forces_mae_ev_per_angstrom * 1000
    return f"val energy MAE {energy:.1f} meV, forces MAE {forces:.1f} meV/Å"


def times(elapsed: float, left: float | None) -> str:
    """`elapsed 0:11, about 0:02 left`, of seconds."""
    return f"elapsed {_clock(elapsed)}" + ("" if left is None else f", about {_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Time(ProgressColumn):
    """What `times` says, of a live bar."""

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text(times(task.elapsed or 0.0, None if task.finished else task.time_remaining))


@contextmanager
def live_progress(console: Console, epochs: int) -> Iterator[Any]:
    """A function to call after each epoch: a live bar; without a terminal, a line now and then."""
    if not console.is_terminal:
        every = max(epochs // 10, 1)

        def line(row: Epoch) -> None:
            if row.epoch % every == 0 or row.epoch == epochs:
                left = row.seconds / row.epoch * (epochs - row.epoch)
                text = f"epoch {row.epoch}/{epochs}  {_losses(row)}  {times(row.seconds, left)}"
                console.print(text, soft_wrap=True)

        yield line
        return
    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[losses]}"),
        _Time(),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        task = progress.add_task("training", total=epochs, losses="first epoch")
        yield lambda row: progress.update(task, completed=row.epoch, losses=_losses(row))


def result_table(result: dict[str, Any]) -> Table:
    """Errors of the best epoch beside the trivial baseline, in the report's units and eV."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("MAE", "test", "val", "mean", "trivial", "(all)", "ratio"):
        table.add_column(heading, justify="left" if heading == "MAE" else "right")
    for name, key, unit, digits in (
        ("energy / Ha", ENERGY_MAE, Hartree, 5),
        ("energy / meV", ENERGY_MAE, 1e-3, 1),
        ("forces / (Ha/bohr)", FORCES_MAE, Hartree / Bohr, 5),
        ("forces / (meV/Å)", FORCES_MAE, 1e-3, 1),
        *_others(),
    ):
        # Null where the reference says nothing about a composition; absent from earlier runs.
        found = [result["metrics"][part].get(key) for part in ("test", "val")]
        found += [result["baselines"][part].get(key) for part in ("test", "val", "all")]
        test, val, *trivial = (x if is_number(x) else math.nan for x in found)
        mean, baseline = (test + val) / 2, (trivial[0] + trivial[1]) / 2
        ratio = mean / baseline if baseline else math.nan  # all energies may be equal
        numbers = (test, val, mean, baseline, trivial[2])
        words = ["—" if math.isnan(x) else f"{x / unit:.{digits}f}" for x in numbers]
        table.add_row(name, *words, "—" if math.isnan(ratio) else f"{100 * ratio:.1f} %")
    return table


def _others() -> Iterator[tuple[str, str, float, int]]:
    """Metrics that are not the product's own: name, key, unit, digits."""
    for metric in metrics():
        if not metric.variant.ours and not metric.of_run:
            size, unit, digits = metric.shown("mev")
            yield with_unit(metric.words, unit) + metric.remark, metric.key, size, digits


def ood_table(result: dict[str, Any]) -> Table:
    """Errors on the test frames and out of distribution, beside the trivial baseline."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("MAE", "test", "ood", "trivial", "ratio"):
        table.add_column(heading, justify="left" if heading == "MAE" else "right")
    rows = [
        ("energy / Ha", (ENERGY_MAE,), Hartree),
        ("  relative", (f"relative_{ENERGY_MAE}",), Hartree),
        ("forces / (Ha/bohr)", (FORCES_MAE,), Hartree / Bohr),
        *(
            (f"  {name} first shells", ("environments", name, FORCES_MAE), Hartree / Bohr)
            for name in ("seen", "unseen")
        ),
    ]
    for name, keys, unit in rows:
        values = []
        for source, part in (("metrics", "test"), ("metrics", "ood"), ("baselines", "ood")):
            value = result[source][part]
            for key in keys:
                value = value[key]
            values.append(value)
        ood, trivial = values[1:]
        ratio = f"{100 * ood / trivial:.1f} %" if ood is not None and trivial else "—"
        numbers = ("—" if value is None else f"{value / unit:.5f}" for value in values)
        table.add_row(name, *numbers, ratio)
    return table


def _held_out(scores: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    """Errors on the held-out frames with their standard errors, those that there are."""
    said = []
    for name, key, unit in (("energy", ENERGY_MAE, "meV"), ("forces", FORCES_MAE, "meV/Å")):
        value, error = scores[key], errors[key]
        if value is not None:
            spread = "" if error is None else f" ± {1000 * error:.1f}"
            said.append(f"{name} MAE {1000 * value:.1f}{spread} {unit}")
    return (
        f"on {errors['frames']:,} held-out frames: {', '.join(said)} (standard error over frames)"
    )


def show_outcome(console: Console, outcome: Outcome) -> None:
    """The final numbers, or why there are none."""
    folder, result = outcome.folder, outcome.result
    if outcome.already_done:
        console.print(f"already done: {folder.path} (--fresh trains it again)", soft_wrap=True)
    if result["status"] == "diverged":
        why = f": {result['reason']}; see {folder.log}"
        console.print(Text.assemble(("diverged", "red"), why), soft_wrap=True)
        return
    console.print(result_table(result))
    console.print(
        "trivial: error of predicting the mean energy and zero force; "
        "(all): the same, on the whole set"
    )
    if words := judgement(result, folder.settings()):
        console.print(words, soft_wrap=True)
    if "ood" in result["metrics"]:
        console.print(ood_table(result))
        console.print(
            "ood: out of distribution; relative: after removing each molecule's mean offset; seen "
            "and unseen first shells: atoms whose kinds of bonded neighbours were or were not in "
            "training"
        )
        unscored = [
            name
            for name, m in result["metrics"]["ood"]["molecules"].items()
            if not m["frames_scored"]
        ]
        if unscored:
            console.print(
                f"absolute energies of {', '.join(unscored)} are undetermined and not scored: the "
                "composition is not a linear combination of the training compositions",
            )
    floor = result["label_floor_ev_per_angstrom"]
    if floor:
        console.print(
            f"the true forces themselves have an error of {floor / (Hartree / Bohr):.4f} Ha/bohr "
            "against these labels",
        )
    if errors := result.get("frame_errors", {}).get("held_out"):
        console.print(_held_out(result["metrics"]["held_out"], errors), soft_wrap=True)
    stack = result.get("stack", 1)  # which results of version 0.1.0 do not hold
    share = f", a share of {stack} stacked runs" if stack > 1 else ""
    console.print(
        f"best epoch {result['best_epoch']} of {result['epochs']}, "
        f"{result['wall_seconds']:.0f} s{share}; everything is in {folder.path}",
        soft_wrap=True,
    )
