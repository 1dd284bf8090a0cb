"""How long molecules stay whole in dynamics by GFN1-xTB: what `md_survival` of a run stands beside.

    python docs/examples/survival.py runs/alkenes/corrected/task-larger/seed-0 --kelvin 1000

From the same starts with the same velocities and thermostat, on the potential of the labels (extra
`generate`). A network that breaks a molecule which breaks here, too, may be right to do so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache

import numpy as np

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.errors import UserError
from deepset_bench.evaluation.survival import KELVINS, PICOSECONDS, starts, survived
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.xtb import XTB


def main(arguments: Sequence[str] | None = None) -> None:
    """Print picoseconds, of each start and their mean, at each temperature."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a trained run that has a task")
    parser.add_argument("--kelvin", type=float, nargs="+", default=KELVINS)
    parser.add_argument("--picoseconds", type=float, default=PICOSECONDS)
    given = parser.parse_args(arguments)

    config = DeepSetCalculator(given.run, device="cpu").ensemble.members[0].config
    frames = starts(config)
    if frames is None:
        raise UserError(f"{given.run} has no task, whose frames the dynamics start from")
    hot = catalogue.datasheet(config.data.name).get("electronic_temperature_kelvin", 300.0)

    electrons = {
        tuple(frames.numbers[frames.atoms_of(m)].tolist()): (frames.charge[m], frames.spin[m])
        for m in range(len(frames))
    }

    @cache
    def method(numbers: tuple[int, ...]) -> XTB:
        return XTB(numbers, "gfn1", float(hot), *electrons[numbers])

    def force(systems: Systems) -> FloatArray:
        ends = np.cumsum(systems.n_atoms)[:-1]
        each = zip(np.split(systems.numbers, ends), np.split(systems.positions, ends), strict=True)
        return np.concatenate([method(tuple(z.tolist()))(r)[1] for z, r in each])

    print(f"GFN1-xTB, ps until a bond breaks, {given.picoseconds:g} at most")
    for kelvin in given.kelvin:
        ended = survived(frames, force, kelvin, given.picoseconds)
        print(f"{kelvin:5.0f} K  mean {ended.mean():.1f}  of", *(f"{each:.1f}" for each in ended))


if __name__ == "__main__":
    main()
