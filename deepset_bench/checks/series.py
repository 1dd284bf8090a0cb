"""The set as a trajectory: frozen frames, drift of energy and temperature, equipartition."""

from __future__ import annotations

import numpy as np
from ase.units import kB

from deepset_bench.checks.bond_sizes import hydrogen_bonds
from deepset_bench.checks.finding import Finding, energy_text, graded
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.one_molecule import Group

BLOCKS = 10
_LONG, _LONGER = 200, 1000  # frames that make a trajectory; in which bonds have shared their heat
_DRIFT = 1.0  # of the standard deviation of the energy, between first and last block
_SIGNIFICANT = 4.0  # standard errors
_UNEVEN = 2.5  # hottest over coldest
_PARTS, _CLEAR = 5, 5.0  # of time, that tell how sure a temperature is; standard errors
_LONG_BOND = 1.4  # times the median: the hydrogen is elsewhere
_SUSPECT_FROZEN, _DEFECT_FROZEN = 0.0, 0.01  # of the frames


def frozen(subject: Subject) -> Finding:
    """Frames that repeat the one before: the same positions, or the same labels elsewhere."""
    check = "frozen frames"
    if not subject.repeated:
        return Finding(check, "not run", "every frame is another molecule")
    still: list[int] = []
    stale: list[int] = []
    for group in subject.repeated:
        moved = np.abs(np.diff(group.positions, axis=0)).max(axis=(1, 2)) > 0
        energies = np.diff(group.energy) != 0
        forces = np.abs(np.diff(group.forces, axis=0)).max(axis=(1, 2)) > 0
        still += group.index[1:][~moved].tolist()
        # Energies alone may agree by chance of their last digit; forces of a moved molecule do not.
        flat = group.energy.max() == group.energy.min()
        stale += group.index[1:][moved & ~forces & (~energies | flat)].tolist()
    total, frames = len(subject.frames), sorted(still + stale)
    if not frames:
        return Finding(check, "ok", "no frame repeats the positions or labels before it", 0.0)
    parts = [f"{len(still):,} frames repeat the positions of the frame before"] if still else []
    parts += [f"{len(stale):,} have moved but keep its energy and forces"] if stale else []
    share = len(frames) / total
    verdict = "defect" if stale else graded(share, _SUSPECT_FROZEN, _DEFECT_FROZEN)
    text = f"{'; '.join(parts)}; first in frame {frames[0]}"
    advice = "leave the repetitions out, or find out why the simulation or the labels stood still"
    return Finding(check, verdict, text, share, "", tuple(frames), (), advice)


def drift(subject: Subject) -> Finding:
    """Mean energy of the last of ten blocks against the first."""
    check = "energy drift"
    group = _trajectory(subject)
    if group is None:
        return Finding(check, "not run", f"no trajectory of {_LONG} frames in order")
    blocks = np.array([block.mean() for block in np.array_split(group.energy, BLOCKS)])
    spread = float(group.energy.std())
    if spread == 0:
        return Finding(check, "ok", "the energy is constant", 0.0, "eV")
    time = np.arange(BLOCKS) - (BLOCKS - 1) / 2
    change = float(time @ blocks / (time**2).sum() * (BLOCKS - 1))
    significant = _trend(blocks)
    text = (
        f"{energy_text(change)} from the first tenth to the last, {abs(change) / spread:.2f} of "
        "the energy's standard deviation"
    )
    suspect = significant and abs(change) > _DRIFT * spread
    advice = (
        "leave out the equilibration; no mistake if several temperatures follow one another, or a "
        "bias drives it"
    )
    advice = advice if suspect else ""
    verdict = "suspect" if suspect else "ok"
    return Finding(check, verdict, text, change, "eV", (), (), advice)


def temperature(subject: Subject) -> Finding:
    """Temperatures of single bonds to hydrogen, and along time, from positions and forces.

    In thermal equilibrium -<(d - d_0) f> = kT <1 + 2 (d - d_0) / d> for the length d of a bond
    X-H and the force f on H along it, whatever the potential: the hypervirial theorem for the
    displacement of H along its bond (Hirschfelder, J. Chem. Phys. 1960, 33, 1462).
    """
    check = "temperature"
    group = _trajectory(subject)
    if group is None:
        return Finding(check, "not run", f"no trajectory of {_LONG} frames in order")
    bonds = [
        bond
        for bond in hydrogen_bonds(group.whole)
        if bond[1].max() < _LONG_BOND * np.median(bond[1])
    ]
    if not bonds:
        return Finding(check, "not run", "no bonds to hydrogen")
    each = np.array([bond_temperature(length, force) for _, length, force in bonds])
    along = temperature_along(group.whole)
    number = float(each.mean())
    text = (
        f"{number:.0f} K from the bonds to hydrogen, single bonds {each.min():.0f} to "
        f"{each.max():.0f} K, tenths of the trajectory {along.min():.0f} to {along.max():.0f} K"
    )
    if number <= 0:
        advice = "forces that are not those of these bonds"
        return Finding(check, "suspect", text, number, "K", (), (), advice)
    cold = _colder(bonds, each) if len(group) >= _LONGER else []
    drifts = along.max() > _UNEVEN * max(along.min(), 1.0) and _trend(along)
    advice = "the thermostat did not reach every part, or heat was pumped in" if cold else ""
    heats = "the trajectory heats or cools; no mistake if several temperatures follow one another"
    advice = advice or (heats if drifts else "")
    verdict = "suspect" if cold or drifts else "ok"
    atoms = tuple(sorted({bonds[b][0] for b in cold}))
    if atoms:
        text += f"; coldest at atoms {', '.join(map(str, atoms))}"
    return Finding(check, verdict, text, number, "K", (), atoms, advice)


def _colder(bonds: list[tuple[int, FloatArray, FloatArray]], each: FloatArray) -> list[int]:
    """Bonds 2.5 times colder than the hottest, and by more than the scatter along time explains."""
    parts = np.array_split(np.arange(len(bonds[0][1])), _PARTS)
    blocks = np.array([[bond_temperature(d[p], f[p]) for p in parts] for _, d, f in bonds])
    error = blocks.std(axis=1, ddof=1) / np.sqrt(_PARTS)
    hottest = int(each.argmax())
    apart = each[hottest] - each > _CLEAR * np.hypot(error, error[hottest])
    return np.flatnonzero(apart & (each < each[hottest] / _UNEVEN)).tolist()


def _trend(values: FloatArray) -> bool:
    """Whether values (b,) of parts of time follow a line, by four standard errors of its slope."""
    time = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float(time @ values / (time**2).sum())
    error = np.std(values - values.mean() - slope * time, ddof=2)
    return bool(abs(slope) > _SIGNIFICANT * error / np.sqrt((time**2).sum()))


def bond_temperature(length: FloatArray, force: FloatArray) -> float:
    """Kelvin, from lengths (m,) in angstrom and forces (m,) along them in eV/angstrom."""
    stretch = length - length.mean()
    return float(-(stretch * force).mean() / (kB * (1 + 2 * stretch / length).mean()))


def temperature_along(group: Group, blocks: int = BLOCKS) -> FloatArray:
    """(blocks,) kelvin, the mean over the bonds to hydrogen, one value for each part of time."""
    parts = np.array_split(np.arange(len(group)), blocks)
    bonds = hydrogen_bonds(group)
    return np.array(
        [
            np.mean([bond_temperature(length[part], force[part]) for _, length, force in bonds])
            for part in parts
        ]
    )


def _trajectory(subject: Subject) -> Group | None:
    """The largest group whose frames are recorded in order."""
    for group in subject.large:
        if len(group) >= _LONG and (np.diff(group.index) > 0).all():
            return group
    return None
