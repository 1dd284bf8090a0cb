"""Which figures suit a study that lists none: what its sheets, its data and its molecule have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deepset_bench.data import catalogue
from deepset_bench.figures.asked import Asked, Entry
from deepset_bench.figures.learning import of_size
from deepset_bench.figures.predictions import chosen
from deepset_bench.molecules.geometry import distances, pairs
from deepset_bench.molecules.internal import Coordinate, chain_about, turnable
from deepset_bench.molecules.molecule import Molecule
from deepset_bench.molecules.one_molecule import Group, groups
from deepset_bench.molecules.topology import molecule_of
from deepset_bench.study.collect import Where, collect, conditions_of
from deepset_bench.study.time_tables import times_of
from deepset_bench.sweep.comparisons import Comparison

_SOME = 500
"""Frames that a coordinate's spread is taken from."""


def default(
    sheets: Mapping[str, Comparison], where: Where, conditions: Sequence[str], named: bool
) -> list[Entry]:
    """Figures of every sheet that has runs, and of the best row of the first of these.

    Args:
        sheets: of the study, by name.
        where: which runs.
        conditions: that are shown.
        named: whether the study has conditions.
    """
    found: list[Entry] = []
    with_runs = [
        s for s in sheets.values() if (collect(s, conditions, where).state == "done").any()
    ]
    several = len(with_runs) > 1
    for sheet in with_runs:  # what one chooses by comes first
        timed = sheet.compares and times_of(sheet, conditions_of(sheet, conditions), where).timing
        if timed and _on_the_same_frames(sheet):
            last = f"_{sheet.name}" if several else ""
            found.append(_entry(f"cost{last}", "cost", sheet=sheet.name))
    for sheet in with_runs or list(sheets.values())[:1]:
        last = f"_{sheet.name}" if several else ""
        variants = [variant for variant, _ in of_size(sheet).values()]
        if len(set(variants)) < len(variants):  # rows alike but for the number of frames
            found.append(_entry(f"learning{last}", "learning", sheet=sheet.name))
            continue
        found.append(_entry(f"curves{last}", "curves", sheet=sheet.name))
        if sheet.compares and _on_the_same_frames(sheet):
            found.append(_entry(f"effects{last}", "effects", sheet=sheet.name))
    for sheet in with_runs[:1]:
        parity = _entry("parity", "parity", sheet=sheet.name)
        words = {condition: condition for condition in conditions} if named else {}
        of = chosen(Asked(parity, sheets, where, conditions, "hartree", words), sheet.name, "")
        keys = {"sheet": sheet.name, "row": of.row.label}
        found.append(_entry("parity", "parity", **keys))
        if of.data not in catalogue.names():  # the runs are read without it
            continue
        frames = catalogue.load(of.data)
        group = groups(frames)[0]
        if coordinate := telling(group):
            one = len(set(frames.molecule.tolist())) == 1
            whose = {} if one else {"molecule": group.molecule}
            found.append(
                _entry("error_along", "error_along", coordinate=coordinate, **keys, **whose)
            )
    return found


def _on_the_same_frames(sheet: Comparison) -> bool:
    """Whether errors of its rows can be compared: all have one set, task and number of frames."""
    chosen = {
        tuple(line for line in run.overrides if line.lstrip("+").startswith(("data", "task")))
        for run in sheet.runs
    }
    return len(chosen) == 1


def _entry(name: str, kind: str, **keys: str) -> Entry:
    return Entry(name, kind, keys=keys, place=name)


def telling(group: Group) -> str:
    """The coordinate that tells most about a molecule's frames; empty where they are all alike.

    The torsion about the C=C bond, else about the bond whose torsion varies most, methyl groups
    last; in a molecule that nothing turns in, the distance that varies most.
    """
    molecule = molecule_of(group.numbers, group.positions[int(np.argmin(group.energy))])
    some = group.thinned(_SOME).positions
    bonds = list(molecule.double_bonds) or turnable(molecule)
    if bonds:
        chains = [chain_about(molecule, bond, "torsion") for bond in bonds]
        best = max(chains, key=lambda chain: (not _is_rotor(molecule, chain), _spread(some, chain)))
        return f"torsion:{'-'.join(map(str, best))}"
    i, j = pairs(len(group.numbers))
    if not len(i):
        return ""
    varied = distances(some, i, j).std(axis=0)
    place = int(varied.argmax())
    return f"distance:{i[place]}-{j[place]}" if varied[place] > 0 else ""


def _spread(positions: np.ndarray, chain: tuple[int, ...]) -> float:
    """Of a torsion: 0 for one angle, 1 for angles all round."""
    angle = np.radians(Coordinate("torsion", chain)(positions))
    return 1 - float(np.abs(np.exp(1j * angle).mean()))


def _is_rotor(molecule: Molecule, chain: tuple[int, ...]) -> bool:
    """Whether an end is a methyl group or another with three atoms alike, which looks as before."""
    _, j, k, _ = chain
    ends = molecule.neighbours(j, k), molecule.neighbours(k, j)
    return any(len(end) == 3 and len(set(molecule.numbers[end])) == 1 for end in ends)
