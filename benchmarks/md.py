"""Energies and forces for molecular dynamics: our calculators beside the method they imitate."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec

import numpy as np
from ase.calculators.calculator import Calculator

from benchmarks.runs import brief_run
from benchmarks.scaling import cluster, jiggled
from benchmarks.tables import Table
from benchmarks.timing import of_threads, ratio
from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.training.computing import begin
from deepset_bench.training.turns import interleaved

NETWORKS = {
    "DeepSet": (),
    "DeepSet X": ("model=deepset_x",),
    "DeepSet, SAGE layer": ("gnn=sage",),
    "SchNet": ("model=schnet",),
    "ViSNet": ("model=visnet",),
}
MOLECULES = {12: 1, 96: 8}
BARS = {
    ("DeepSet", 12): 10.0,
    ("DeepSet X", 12): 5.0,
    ("DeepSet", 96): 30.0,
    ("DeepSet X", 96): 15.0,
}
"""How many times faster than GFN1-xTB a network is to be, by its atoms."""
CALLS = 100
"""In a turn of a contender, as in dynamics nothing else runs in between."""
REPLICAS, REPLICAS_BAR = 64, 5.0
"""Copies of a molecule in one call, and how many times the throughput of one that is to be."""


def measure(threads: int, repeats: int) -> list[Table]:
    """Milliseconds of a step's forces for 12 and 96 atoms, and of many replicas."""
    with ExitStack() as stack:
        runs = {
            name: stack.enter_context(brief_run("trainer.epochs=1", *overrides))
            for name, overrides in NETWORKS.items()
        }
        ours = {
            name: DeepSetCalculator(run, device="cpu", compile=True) for name, run in runs.items()
        }
    begin(threads)
    molecule = catalogue.load("but-2-ene").select([0])
    reference = _gfn1()
    rows = []
    for n_atoms, count in MOLECULES.items():
        calculators: dict[str, Calculator] = {**ours}
        if reference is not None:
            calculators["GFN1-xTB"] = reference()
        atoms = {name: cluster(molecule, count) for name in calculators}
        for name, calculator in calculators.items():
            atoms[name].calc = calculator
        few = max(repeats // 5, 5)
        moving = {name: jiggled(of) for name, of in atoms.items()}
        seconds = interleaved(moving, few, warm_up=2, calls=CALLS if n_atoms < 50 else 2).seconds
        for name, times in seconds.items():
            faster = ratio(seconds["GFN1-xTB"], times) if reference else float("nan")
            bar = BARS.get((name, n_atoms))
            rows.append(
                [
                    f"{name}, {n_atoms}",
                    f"{1e3 * float(np.median(times)):.3f}",
                    f"{faster:.1f}" if reference else "—",
                    f"≥ {bar:g}" if bar else "—",
                    verdict(faster >= bar) if bar and reference else "—",
                ]
            )
            print(f"md: {' '.join(rows[-1])}", file=sys.stderr)
    note = (
        "Forces of but-2-ene and of eight of it through the ASE calculator, atoms moved by "
        f"0.002 Å between calls, calculators in turn, {CALLS} calls of 12 atoms and 2 of 96 a "
        f"turn; medians of {max(repeats // 5, 5)} turns; how many times faster than GFN1-xTB "
        "(tblite), and the bar."
    )
    header = ["calculator, atoms", "ms", "× GFN1-xTB", "bar", ""]
    return [
        Table(f"Molecular dynamics, {of_threads(threads)}.", note, header, rows),
        _replicas(ours["DeepSet"], threads, repeats),
    ]


def verdict(met: bool) -> str:
    """A word for the table."""
    return "met" if met else "missed"


def systems_of(count: int) -> Systems:
    """Copies of but-2-ene, each a little different."""
    molecule = catalogue.load("but-2-ene").select([0])
    n = len(molecule.numbers)
    shift = np.random.default_rng(0).normal(0, 0.01, (count * n, 3))
    moved = np.tile(molecule.positions, (count, 1)) + shift
    numbers, sizes = np.tile(molecule.numbers, count), np.full(count, n)
    return Systems(numbers, moved, sizes, np.zeros((count, 3, 3)), np.zeros((count, 3), bool))


def _replicas(calculator: DeepSetCalculator, threads: int, repeats: int) -> Table:
    deployed = calculator.deployed
    assert deployed is not None
    one, many = systems_of(1), systems_of(REPLICAS)
    seconds = interleaved(
        {"one": lambda _: deployed(one), "many": lambda _: deployed(many)},
        max(repeats // 5, 5),
        warm_up=2,
        calls=CALLS,
    ).seconds
    throughput = REPLICAS * ratio(seconds["one"], seconds["many"])
    milli = {name: 1e3 * float(np.median(times)) for name, times in seconds.items()}
    rows = [
        ["one", f"{milli['one']:.3f}", "1.0", "—", "—"],
        [
            f"{REPLICAS} in one call",
            f"{milli['many']:.3f}",
            f"{throughput:.1f}",
            f"≥ {REPLICAS_BAR:g}",
            verdict(throughput >= REPLICAS_BAR),
        ],
    ]
    return Table(
        f"Replicas of but-2-ene, {of_threads(threads)}.",
        "DeepSet, without ASE around it; throughput is in systems a second, against one by one.",
        ["systems", "ms a call", "throughput", "bar", ""],
        rows,
    )


def _gfn1() -> Callable[[], Calculator] | None:
    """Makes a calculator of the reference method; None without tblite."""
    if find_spec("tblite") is None:
        return None
    from tblite.ase import TBLite

    return lambda: TBLite(method="GFN1-xTB", verbosity=0)
