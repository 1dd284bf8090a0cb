"""Energy and forces of growing clusters through the calculator: the work must grow linearly."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
from ase import Atoms

from benchmarks.runs import brief_run
from benchmarks.tables import Table
from benchmarks.timing import of_threads
from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.neighbours import neighbour_pairs
from deepset_bench.training.computing import begin
from deepset_bench.training.turns import interleaved

MOLECULES = (1, 8, 27, 64, 216, 512, 833)  # of 12 atoms each
SPACING = 5.3  # angstrom; 0.62 g / cm^3, the density of liquid but-2-ene
BAR = 40  # microseconds an atom
FEWEST = 300  # atoms above which the time of a call is not mostly Python's


def cluster(molecule: Frames, count: int) -> Atoms:
    """Randomly turned copies on a cubic grid."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(count ** (1 / 3) - 1e-9))
    cells = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    centred = molecule.positions - molecule.positions.mean(axis=0)
    turns = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(count)]
    copies = [centred @ turn + SPACING * cell for turn, cell in zip(turns, cells, strict=False)]
    return Atoms(np.tile(molecule.numbers, count), np.concatenate(copies))


def jiggled(atoms: Atoms) -> Callable[[int], object]:
    """Forces of atoms that have moved a little since the last call."""
    rng = np.random.default_rng(0)

    def call(_: int) -> object:
        atoms.positions = atoms.positions + rng.normal(0, 0.002, atoms.positions.shape)
        return atoms.get_forces()

    return call


def _search(frame: Frames, cutoff: float, _: int) -> object:
    return neighbour_pairs(frame, cutoff)


def measure(threads: int, repeats: int) -> list[Table]:
    """Time per atom, the share of the neighbour search, and the exponent of the growth."""
    with brief_run("trainer.epochs=1") as run:
        calculator = DeepSetCalculator(run, device="cpu", compile=True)
    begin(threads)
    molecule = catalogue.load("but-2-ene").select([0])
    cutoff = calculator.ensemble.members[0].config.cutoff
    rows, sizes, totals = [], [], []
    for count in MOLECULES:
        atoms = cluster(molecule, count)
        atoms.calc = calculator
        frame = Frames(
            numbers=atoms.numbers,
            positions=atoms.positions,
            n_atoms=np.array([len(atoms)]),
            energy=np.zeros(1),
            forces=np.zeros((len(atoms), 3)),
            bias_forces=None,
            molecule=np.array(["cluster"]),
            index=np.zeros(1, dtype=np.int64),
        )
        functions: dict[str, Callable[[int], object]] = {
            "all": jiggled(atoms),
            "neighbours": partial(_search, frame, cutoff),
        }
        few = max(5, min(repeats, 20_000 // len(atoms)))
        seconds = interleaved(functions, few, warm_up=2).seconds
        total = float(np.median(seconds["all"]))
        share = float(np.median(seconds["neighbours"] / seconds["all"]))
        per_atom = len(neighbour_pairs(frame, cutoff).i) / len(atoms)
        sizes.append(len(atoms))
        totals.append(total)
        rows.append(
            [
                f"{len(atoms):,}",
                f"{per_atom:.0f}",
                f"{1e3 * total:.1f}",
                f"{1e6 * total / len(atoms):.0f}",
                f"{100 * share:.0f} %",
            ]
        )
        print(f"scaling: {' '.join(rows[-1])}", file=sys.stderr)
    large = np.array(sizes) >= FEWEST
    exponent = np.polyfit(np.log(np.array(sizes)[large]), np.log(np.array(totals)[large]), 1)[0]
    met = "met" if 1e6 * totals[-1] / sizes[-1] <= BAR else "missed"
    return [
        Table(
            f"Energy and forces of a cluster, {of_threads(threads)}.",
            f"But-2-ene at its liquid density through the ASE calculator, atoms moved by 0.002 Å "
            f"between calls; time grows as atoms^{exponent:.2f} from {FEWEST} atoms on. The bar is "
            f"{BAR} µs an atom for the largest on one thread: {met}. A search for neighbours, once "
            "in many steps, would take the share in the last column.",
            ["atoms", "neighbours per atom", "ms", "µs per atom", "one search"],
            rows,
        )
    ]
