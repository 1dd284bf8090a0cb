"""One full training step: gather, forward, forces, loss, backward, clip, AdamW."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.tables import Table
from benchmarks.timing import milliseconds, of_threads, ratio
from deepset_bench.config import experiment
from deepset_bench.training.compiled import of_fixed_sizes, traceable, wants_compiling
from deepset_bench.training.computing import begin
from deepset_bench.training.setup import prepare
from deepset_bench.training.stacked import StackedOptimisation
from deepset_bench.training.step import Optimisation, SingleOptimisation
from deepset_bench.training.turns import interleaved, stepping

SMALL = (
    "data=but-2-ene",
    "device=cpu",
    "data.train_size=200",
    "data.val_size=20",
    "trainer.batch_size=20",
)
VARIANTS: dict[str, Sequence[str]] = {
    "baseline": (),
    "scalars=cub_sqrt": ("scalars=cub_sqrt",),
    "rbf=x2_x4_log": ("rbf=x2_x4_log",),
    "rbf=x3_sqrt": ("rbf=x3_sqrt",),
    "gnn=sage": ("gnn=sage",),
    "gnn=sage3": ("gnn=sage3",),
    "gnn=edge": ("gnn=edge",),
    "gnn=gat": ("gnn=gat",),
    "gating=top_k": ("gating=top_k",),
    "gating=single": ("gating=single",),
}


@dataclass(frozen=True)
class Contender:
    """A way to compute the same step; `seeds` runs are trained at once, and the time is per run.

    `bar` is how many times faster than the first it is to be, whatever the variant, with 20 frames.
    """

    name: str
    overrides: Sequence[str]
    seeds: int = 1
    bar: float | None = None


CONTENDERS = (
    Contender("reference", ("form=reference", "compile=false")),
    Contender("fused", ("form=fused", "compile=false"), bar=5.0),
    Contender("compiled", ("form=fused", "compile=true"), bar=8.0),
    Contender("5 seeds", ("form=fused", "compile=true"), seeds=5),
)
"""The first is what the others are compared with."""


def step_of(contender: Contender, overrides: Sequence[str]) -> Callable[[int], object] | None:
    """One training step; the same frames for every contender in the same round.

    None where the variant cannot be computed in this way.
    """
    given = [*SMALL, *overrides, *contender.overrides]
    configs = [experiment([*given, f"seed={seed}"]).config for seed in range(contender.seeds)]
    config, compile_steps = configs[0], wants_compiling(configs[0])
    if (contender.seeds > 1 and of_fixed_sizes(config)) or (compile_steps and traceable(config)):
        return None
    setups = [prepare(config) for config in configs]
    optimisation: Optimisation
    if contender.seeds > 1:
        optimisation = StackedOptimisation(setups, configs, compile_steps=compile_steps, say=say)
    else:
        optimisation = SingleOptimisation(setups[0], config, compile_steps=compile_steps, say=say)

    return stepping(optimisation, config.trainer, setups[0].n_train, contender.seeds)


def say(line: str) -> None:
    print(line, file=sys.stderr)


def _row(
    overrides: Sequence[str], contenders: Sequence[Contender], repeats: int, is_baseline: bool
) -> tuple[list[str], list[float | None]]:
    """Milliseconds of each contender, and how many times faster than the first the others are."""
    # Stacked seeds tell the same of every variant, and take five times as long to measure.
    used = [c for c in contenders if c.seeds == 1 or is_baseline]
    steps = {c.name: step_of(c, overrides) for c in used}
    there = {name: step for name, step in steps.items() if step is not None}
    seconds = interleaved(there, repeats).seconds
    per_run = {c.name: seconds[c.name] / c.seeds for c in contenders if c.name in seconds}
    first = per_run[contenders[0].name]
    times = [milliseconds(per_run[c.name]) if c.name in per_run else "—" for c in contenders]
    ratios = [ratio(first, per_run[c.name]) if c.name in per_run else None for c in contenders[1:]]
    return times, ratios


def _verdict(ratios: Sequence[float | None], contenders: Sequence[Contender]) -> str:
    """Whether each bar is met, and what the others lack."""
    missed = [
        f"{c.name} {value:.1f} of {c.bar:g}" if value is not None else f"{c.name} not at all"
        for c, value in zip(contenders[1:], ratios, strict=True)
        if c.bar is not None and (value is None or value < c.bar)
    ]
    return f"missed: {', '.join(missed)}" if missed else "met"


def measure(
    threads: int,
    repeats: int,
    variants: Sequence[str] = (),
    contenders: Sequence[Contender] = CONTENDERS,
) -> list[Table]:
    """Every variant at 20 frames, and the baseline at 10 and 40; or only the variants named."""
    begin(threads)
    cases = {f"{name}, 20": [*overrides] for name, overrides in VARIANTS.items()}
    cases |= {f"baseline, {b}": [f"trainer.batch_size={b}"] for b in (10, 40)}
    if variants:
        cases = {case: given for case, given in cases.items() if case.split(",")[0] in variants}
    names = [c.name for c in contenders]
    wanted = [f"{c.name} {c.bar:g} ×" for c in contenders if c.bar is not None] or ["none"]
    rows = []
    for case, overrides in cases.items():
        times, ratios = _row(overrides, contenders, repeats, case.startswith("baseline"))
        shown = [f"{value:.1f}" if value is not None else "—" for value in ratios]
        bars = _verdict(ratios, contenders) if case.endswith(", 20") else "—"
        rows.append([case, *times, *shown, bars])
        say(f"step, {threads} threads: {' '.join(rows[-1])}")
    return [
        Table(
            f"A training step, {of_threads(threads)}.",
            "Variant and frames of but-2-ene in the batch; milliseconds per step and run, then how "
            f"many times faster than the {names[0]} form; medians of {repeats} steps. `5 seeds`: "
            f"compiled, stacked in one model. Bars: {', '.join(wanted)}.",
            ["variant, frames", *names, *(f"{name} ×" for name in names[1:]), "bars"],
            rows,
        )
    ]
