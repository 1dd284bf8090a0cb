"""Which epoch to keep: what each rule of `trainer.select` scores on the held-out frames."""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.tables import Table
from deepset_bench.config import experiment
from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.runs import RunFolder
from deepset_bench.scoring.table import USUAL, chosen
from deepset_bench.training.compiled import wants_compiling
from deepset_bench.training.computing import begin
from deepset_bench.training.loop import Epoch, Member, fit
from deepset_bench.training.measuring import measured
from deepset_bench.training.selecting import rank
from deepset_bench.training.setup import prepare
from deepset_bench.training.step import Measured, SingleOptimisation

RULES = ("loss", "error", "last")
VARIANTS = ("", "scalars=cub_sqrt", "gnn=sage", "model=schnet", "condition=report")


def main(words: list[str]) -> None:
    """Train each variant once a seed and score the epochs that the rules would keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks selection", description=__doc__)
    parser.add_argument("--variants", nargs="+", default=VARIANTS, help="overrides, one word each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--overrides", nargs="+", default=[], help="of every run")
    given = parser.parse_args(words)
    rows = []
    for variant in given.variants:
        asked = [*variant.split(), *given.overrides]
        runs = [one_run([*asked, f"seed={seed}"]) for seed in range(given.seeds)]
        rows += [_row(variant or "baseline", rule, runs) for rule in RULES]
        print(Table("Selection.", _CAPTION, _COLUMNS, rows[-len(RULES) :]).markdown(), flush=True)
    print(Table("Selection.", _CAPTION, _COLUMNS, rows).markdown())


_CAPTION = (
    "Errors on the held-out frames at the epoch that a rule keeps, mean over seeds, and the mean "
    "ratio to the rule loss, largest and smallest in brackets."
)
_COLUMNS = ["variant", "rule", "epochs", "energy / meV", "× loss", "forces / (meV/Å)", "× loss"]

Kept = dict[str, tuple[int, float, float]]
"""Rule -> epoch, energy MAE in eV, force MAE in eV/angstrom."""


def one_run(overrides: list[str]) -> Kept:
    """Train a run and score, on its held-out frames, the epoch that each rule keeps."""
    wanted = experiment(["device=cpu", *overrides])
    config = wanted.config
    begin(config.threads or 1)
    setup = prepare(config)
    kept: dict[str, tuple[float, int, dict[str, Tensor]]] = {}

    def on_epoch(row: Epoch) -> None:
        val = Measured(row.val_loss, row.val_energy_mae_ev, row.val_forces_mae_ev_per_angstrom)
        for rule in RULES:
            trainer = replace(config.trainer, select=rule)
            value = rank(trainer, setup.baselines["val"], row.epoch, val)
            if value < kept.get(rule, (math.inf,))[0]:
                state = {name: t.clone() for name, t in setup.potential.state_dict().items()}
                kept[rule] = value, row.epoch, state

    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place))
        folder.metrics.touch()
        with folder.lock():
            folder.write_config(wanted)
            compiled = wants_compiling(config)
            step = SingleOptimisation(setup, config, compile_steps=compiled, say=print)
            fit([Member(setup, config, folder, "selection", on_epoch)], step)
    found = {}
    for rule, (_, epoch, state) in kept.items():
        setup.potential.load_state_dict(state)
        scored = measured(setup, config, chosen(USUAL), math.nan).result["metrics"]["held_out"]
        found[rule] = epoch, scored[ENERGY_MAE], scored[FORCES_MAE]
    return found


def _row(variant: str, rule: str, runs: list[Kept]) -> list[str]:
    epochs = ", ".join(str(run[rule][0]) for run in runs)
    cells = [variant, rule, epochs]
    for place in (1, 2):
        values = np.array([run[rule][place] for run in runs])
        ratios = values / np.array([run["loss"][place] for run in runs])
        cells.append(f"{1000 * values.mean():.2f}")
        cells.append(f"{ratios.mean():.3f} [{ratios.min():.3f}, {ratios.max():.3f}]")
    return cells
