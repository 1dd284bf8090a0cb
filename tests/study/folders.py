"""Run folders as bench train leaves them, without training: config.yaml and result.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepset_bench import file_version
from deepset_bench.config import Experiment, experiment
from deepset_bench.data import catalogue
from deepset_bench.files import write_text
from deepset_bench.record import DATA
from deepset_bench.results.kept_times import text
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.study.collect import Where
from deepset_bench.study.times import asked, identity_of
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR


def write(
    root: Path,
    overrides: Sequence[str],
    seed: int,
    energy: float,
    forces: float = 0.027,
    **others: Any,
) -> RunFolder:
    """A done run with this error in hartree (test 10 % above the mean, val below) and hartree/bohr.

    Zero force scores 0.0298 hartree/bohr, the mean energy 0.0204 hartree.
    """
    wanted = experiment(overrides)
    config = dataclasses.replace(wanted.config, seed=seed, runs_dir=str(root))
    wanted = dataclasses.replace(wanted, config=config)
    return fill(wanted, energy, forces, **others)


def fill(wanted: Experiment, energy: float, forces: float = 0.027, **others: Any) -> RunFolder:
    """The same of a run that is composed already."""
    config, folder = wanted.config, run_folder(wanted)

    def errors(energy: float, forces: float) -> dict[str, float]:
        return {
            "energy_mae_ev": energy * HARTREE,
            "forces_mae_ev_per_angstrom": forces * HARTREE_PER_BOHR,
        }

    biased = config.condition.labels == "biased"
    result: dict[str, Any] = {
        "status": "done",
        "reason": "",
        "metrics": {
            "test": errors(1.1 * energy, 1.1 * forces),
            "val": errors(0.9 * energy, 0.9 * forces),
        },
        "baselines": {part: errors(0.0204, 0.0298) for part in ("test", "val", "all")},
        "label_floor_ev_per_angstrom": 0.0232 * HARTREE_PER_BOHR if biased else 0.0,
        "data_verdict": {
            "verdict": "defect" if biased else "ok",
            "findings": ["the labels hold a bias"] if biased else [],
        },
        "parameters": 368_108,
        "wall_seconds": 100.0 + config.seed,
        "device": "cpu",
        "threads": 1,
        "epochs": config.trainer.epochs,
        "best_epoch": config.trainer.epochs,
        DATA: catalogue.checksums(config.sets),
    }
    folder.write_config(wanted)
    folder.write_result(result | others)
    return folder


def write_unseen(
    root: Path,
    sweep: Comparison,
    label: str,
    seed: int,
    energy: float | None,
    overrides: Sequence[str] = (),
) -> None:
    """A done run of a sweep that asks for generalisation; its out-of-distribution energy error."""
    run = next(run for run in sweep.runs if run.label == label)
    test = _scores(0.001, 0.0005, 0.002)
    test["environments"]["unseen"] = {"atoms": 0, "forces_mae_ev_per_angstrom": None}
    metrics = {"val": test, "test": test, "ood": _scores(energy, 0.003 + 0.001 * seed, 0.004)}
    trivial = {"val": test, "test": test, "ood": _scores(0.033, 0.0044, 0.015), "all": test}
    lines = [*run.overrides, *overrides]
    write(root, lines, seed, 0.001, metrics=metrics, baselines=trivial)


def _scores(energy: float | None, relative: float, forces: float) -> dict[str, Any]:
    """In hartree and hartree/bohr; atoms of unseen shells twice as bad, none of them in test."""
    unit = HARTREE_PER_BOHR
    shells = {"seen": forces * unit, "unseen": 2 * forces * unit}
    return {
        "energy_mae_ev": None if energy is None else energy * HARTREE,
        "relative_energy_mae_ev": relative * HARTREE,
        "forces_mae_ev_per_angstrom": forces * unit,
        "environments": {
            k: {"atoms": 9, "forces_mae_ev_per_angstrom": v} for k, v in shells.items()
        },
    }


def write_times(
    root: Path,
    sweep: Comparison,
    condition: str,
    ms: Mapping[str, Sequence[float]],
    *,
    name: str = "timed",
    overrides: Sequence[str] = (),
    **others: Any,
) -> Path:
    """times/NAME.json as bench time leaves it: milliseconds in each round by label."""
    rows = asked(sweep, [condition], Where(tuple(overrides)))
    steps = [
        {
            **{"label": label, "condition": condition, "data": "but-2-ene", "variant": label},
            **{"identity": identity_of(rows[label, condition]), "form": "fused"},
            **{"compiled": True, "steps_a_run": 3000, "ms": list(values)},
        }
        for label, values in ms.items()
    ]
    content = {
        **{
            "schema": file_version.VERSION,
            "measured": "2026-11-29T08:00:00+00:00",
            "processor": "Abacus",
        },
        **{"cores": 2, "system": "Linux x86_64", "device": "cpu", "threads": 1, "versions": {}},
        **{"steps_a_turn": 5, "warm_up": 5, "order_seed": 0, "waited": 0.001, "steps": steps},
    }
    path = root / "times" / f"{name}.json"
    write_text(path, text(content | others))
    return path
