"""Metrics that a run lacks, measured as its training would have and added to its result.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from deepset_bench import registry
from deepset_bench.console import Console
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import load_trained
from deepset_bench.record import MEASURED_ON, METRIC_SOURCES
from deepset_bench.runs import RunFolder
from deepset_bench.scoring.table import Metric, Value, chosen
from deepset_bench.training import checkpoint
from deepset_bench.training.computing import machine
from deepset_bench.training.measuring import measured
from deepset_bench.training.setup import prepare
from deepset_bench.training.start import own_start


def complete(
    console: Console, folders: Sequence[RunFolder], names: Sequence[str], device: str, unit: str
) -> None:
    """Measure metrics of runs, add them to what the runs keep, print them.

    Args:
        console: to print to.
        folders: of runs that are done.
        names: of metrics.
        device: as in the configuration.
        unit: `hartree` or `mev`, of what is printed.

    Raises:
        UserError: an unknown metric, or a run that is not done or whose data or code have changed.
    """
    metrics = chosen(names)
    for folder in folders:
        notes: list[str] = []
        result = _completed(folder, metrics, device, notes.append)
        console.print(str(folder.path), style="bold", soft_wrap=True, highlight=False)
        for note in dict.fromkeys(notes):
            console.print(note, soft_wrap=True, highlight=False)
        for metric in metrics:
            console.print(
                f"{metric.words}{metric.remark}: {_said(result, metric, unit)}", soft_wrap=True
            )
        console.print(f"kept in {folder.path / 'result.json'}", soft_wrap=True)


def _completed(
    folder: RunFolder, metrics: Sequence[Metric], device: str, say: Callable[[str], None]
) -> dict[str, Any]:
    if not folder.path.is_dir():
        raise UserError(f"{folder.path}: no such folder of a run")
    with folder.lock():
        result = folder.result()
        if result.get("status") != "done":
            state = folder.status().get("state", "not run")
            raise UserError(f"{folder.path} is {state}: only runs that are done have metrics")
        trained = load_trained(folder.path, device)
        if trained.history is None:
            raise UserError(
                f"{folder.path}: its data or this program have changed since it was trained, so "
                "its test frames are not known; bench train ... --fresh trains it again"
            )
        config = replace(trained.config, device=device)
        best = checkpoint.load_best(folder.best, torch.device("cpu"))
        setup = prepare(config, own_start(folder, best) if config.init is not None else None)
        if not _alike(setup.split, trained.history.split):
            raise UserError(
                f"{folder.path}: an earlier version drew other frames for it; "
                "bench train ... --fresh trains it again"
            )
        setup.potential.load_state_dict(best["potential"])
        steps = result["epochs"] * config.trainer.steps_an_epoch(setup.n_train)
        seconds = result["wall_seconds"] / steps
        if "held_out" not in result["metrics"]:  # of an earlier version
            setup.held_out = None
        scores = measured(setup, config, metrics, seconds, say, folder.path)
        found = scores.result
        keys = [metric.key for metric in metrics]
        for table, source in (("metrics", found["metrics"]), ("baselines", scores.baselines)):
            for part, values in source.items():
                own = {key: values[key] for key in keys if key in values}
                result[table].setdefault(part, {}).update(own)
        result |= {metric.key: found[metric.key] for metric in metrics if metric.of_run}
        made_by = registry.sources([metric.variant for metric in metrics])
        result[METRIC_SOURCES] = {**result.get(METRIC_SOURCES, {}), **made_by}
        here = {
            "machine": machine(),
            "device": setup.device.type,
            "threads": torch.get_num_threads(),
        }
        if asked := {metric.key: here for metric in metrics if metric.on_demand}:
            result[MEASURED_ON] = {**result.get(MEASURED_ON, {}), **asked}
        folder.write_result(result)
    return result


def _alike(a: Split, b: Split) -> bool:
    parts = ("train", "val", "test")
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in parts)


def _said(result: dict[str, Any], metric: Metric, unit: str) -> str:
    """The values of a metric for people."""
    if metric.of_run:
        return _number(result[metric.key], metric, unit)
    said = ", ".join(
        f"{part} {_number(values[metric.key], metric, unit)}"
        for part, values in result["metrics"].items()
        if metric.key in values
    )
    return said or "—"


def _number(value: Value, metric: Metric, unit: str) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_number(own, metric, unit)}" for name, own in value.items())
    size, name, digits = metric.shown(unit)
    return "—" if value is None else f"{value / size:,.{digits}f}{f' {name}' if name else ''}"
