"""CP2K trajectories: `PROJECT-pos-1.xyz` with `PROJECT-frc-1.xyz`, plain or packed.

Both files repeat, for every frame, the number of atoms, a second line
` i =      100, time =       20.000, E =       -12.7400956796` (step, fs, hartree), or with `FORMAT
EXTXYZ` one with `Step=`, `Time=` and `Energy=`, and one line `kind x y z` for each atom: angstrom
in the one, hartree/bohr in the other. Either may be in parts, down to one file a frame.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.readers.elements import elements_table
from deepset_bench.readers.extxyz import cell, is_cp2k, second_line
from deepset_bench.readers.isolated import check_isolated
from deepset_bench.readers.labels import Collector, Found, Layout
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.own_units import file_units
from deepset_bench.readers.plausible import net_torque
from deepset_bench.readers.rows import number, table
from deepset_bench.readers.sources import check_range, expand, frame_range, read_text
from deepset_bench.readers.xyz import Record, damaged, miscounted, records, shown

LAYOUT = Layout(energy_unit="hartree", force_unit="hartree/bohr", convention="CP2K's own")
_COLUMNS = (("species", 1), ("vector", 3))
_CLASSIC = re.compile(
    r"\s*i\s*=\s*(?P<step>[0-9]{1,18}),(?:\s*time\s*=\s*[-+.0-9eEdD]{1,40},)?"
    r"\s*E\s*=\s*(?P<energy>\S+)\s*"
)
_PROPERTIES = re.compile(r"species:S:1:\w+:R:3")


@dataclass(eq=False)
class _Trajectory:
    """All files of one kind, read one after another; M frames of A atoms.

    Attributes:
        given: the file, or the pattern that names several.
        places: (M,) file of each frame and the line of its count, from 0.
        step: (M,) of the simulation.
        energy: (M,) in the unit of the file.
        numbers: (A,) atomic numbers.
        vectors: (M, A, 3) what the lines of the atoms hold.
        gaps: frame -> what is said of a number in it that is not finite.
    """

    given: Path
    places: list[tuple[Path, int]] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    numbers: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    vectors: list[FloatArray] = field(default_factory=list)
    gaps: dict[int, UserError] = field(default_factory=dict)

    def at(self, frame: int, row: int) -> str:
        """Where a row of a frame is, both from 0: the file, the frame and the line, from 1."""
        path, line = self.places[frame]
        return f"{path}: frame {frame + 1}, line {line + row + 1}"


def read_cp2k(
    positions: Path,
    forces: Path | None = None,
    *,
    name: str,
    options: Options,
    unlabelled: bool = False,
) -> Reading:
    """Read a pair of position and force files into eV, angstrom and eV/angstrom.

    The forces are kept as they were printed: whether they hold a bias is not in the files.

    Args:
        positions: the `-pos-` file, angstrom; or a pattern such as `raw/part_*.pos` for one in
            parts, which are taken in the order of the numbers in their names.
        forces: the `-frc-` file of the same frames, hartree/bohr; or a pattern. None for
            geometries that will be labelled.
        name: the molecule, for every frame.
        options: units and more. What lies beyond the last frame asked for is not looked at, so that
            the whole part of a trajectory cut short can be used.
        unlabelled: the labels will be computed.

    Raises:
        UserError: either file is damaged or they are not of the same frames; one line with the
            file, the frame (from 1), the line and what to do.
    """
    chosen = frame_range(options.frames)
    place = _read(positions, chosen, options)
    collector = Collector(positions, name, LAYOUT, options, unlabelled)
    index = np.arange(len(place.step))[chosen]
    stored = {"energy": np.array(place.energy)[index]}
    force = place
    if forces is not None:
        force = _read(forces, chosen, options)
        _check_pair(place, force)
        if np.array_equal(place.vectors[index[0]], force.vectors[index[0]]):
            raise UserError(
                f"{force.at(index[0], 0)}: the same numbers as in {positions}; "
                "give the position file to --positions and the force file to --forces"
            )
        stored["forces"] = np.array(force.vectors)[index]

    def where(row: int, atom: int | None) -> str:
        return place.at(index[row], 1 if atom is None else atom + 2)

    def where_forces(row: int, atom: int | None) -> str:
        return force.at(index[row], 1 if atom is None else atom + 2)

    gaps = [
        trajectory.gaps[m] for m in index for trajectory in (place, force) if m in trajectory.gaps
    ]
    collector.add(
        Found(
            numbers=place.numbers,
            positions=np.array(place.vectors)[index],
            stored=stored,
            index=index,
            where=where,
            where_forces=where_forces,
            gap=gaps[0] if gaps else None,
        )
    )
    units, notes = file_units(positions, LAYOUT, options, {})
    read = collector.reading(units, notes, hint="are --positions and --forces exchanged?")
    if net_torque(read.frames):
        raise UserError(
            f"{force.at(index[0], 0)}: the forces cancel but would spin the molecule: they are not "
            f"of the atoms in {positions} in that order, or of a periodic system; give two files "
            "of one isolated molecule"
        )
    return read


def _read(given: Path, chosen: slice, options: Options) -> _Trajectory:
    elements = elements_table(options.elements)
    found = _Trajectory(given)
    for path in expand(given):
        if chosen.stop is None or len(found.step) < chosen.stop:
            for record in records(path, read_text(path), chosen.stop, len(found.step)):
                _append(path, record, found, elements)
    check_range(given, chosen, len(found.step))
    return found


def _append(path: Path, record: Record, found: _Trajectory, elements: Mapping[str, int]) -> None:
    def wrong(line: int, what: str) -> UserError:
        return damaged(path, record.frame, record.line + line, what)

    if found.step and record.count != len(found.numbers):
        raise miscounted(path, record.frame, record.line, str(record.count), len(found.numbers))
    rows = table(path, record, _COLUMNS, {"vector"}, elements)
    step, energy, word = _second_line(path, record)
    if not found.step:
        found.numbers = rows.numbers
    elif step <= found.step[-1]:
        raise wrong(1, f"step {step} follows step {found.step[-1]}: two trajectories were joined")
    for a in np.flatnonzero(rows.numbers != found.numbers)[:1]:
        mine, expected = (chemical_symbols[n[a]] for n in (rows.numbers, found.numbers))
        raise wrong(int(a) + 2, f"element '{mine}' where frame 1 has '{expected}'")
    gap = rows.gap
    if np.isnan(energy):
        gap = wrong(
            1, f"'{word}' is not a finite number (--skip-incomplete leaves such frames out)"
        )
    if gap is not None:
        found.gaps[record.frame] = gap
    found.places.append((path, record.line))
    found.step.append(step)
    found.energy.append(energy)
    found.vectors.append(rows.values["vector"])


def _second_line(path: Path, record: Record) -> tuple[int, float, str]:
    """Step and energy, the latter also as it is written."""
    classic = _CLASSIC.fullmatch(record.comment)
    if classic is not None:
        step, energy = classic["step"], classic["energy"]
    else:
        info = second_line(path, record)
        step, energy = info.get("Step", ""), info.get("Energy", "")
        if not ("Properties" in info and is_cp2k(info)):
            raise damaged(path, record.frame, record.line + 1, _problem(record.comment))
        if not _PROPERTIES.fullmatch(info["Properties"]):
            what = f"expected Properties=species:S:1:pos:R:3, found '{shown(info['Properties'])}'"
            raise damaged(path, record.frame, record.line + 1, what)
        place = f"{path}: frame {record.frame + 1}, line {record.line + 2}"
        check_isolated(place, cell(path, record, info))
    value = number(energy)
    if value is None or not re.fullmatch(r"[0-9]{1,18}", step):
        raise damaged(path, record.frame, record.line + 1, _problem(record.comment))
    return int(step), value, shown(energy)


def _problem(line: str) -> str:
    if not re.search(r"\b(E|Energy)\s*=", line):
        return f"no energy 'E = NUMBER' (hartree) in the second line '{shown(line)}'"
    return f"expected 'i = STEP, time = FS, E = HARTREE', found '{shown(line)}'"


def _check_pair(place: _Trajectory, force: _Trajectory) -> None:
    """Raise unless both hold the same frames of the same atoms."""
    if len(place.numbers) != len(force.numbers):
        raise UserError(
            f"{force.at(0, 0)}: {len(force.numbers)} atoms, but {place.given} has "
            f"{len(place.numbers)}; give two files of one run"
        )
    for a in np.flatnonzero(place.numbers != force.numbers)[:1]:
        mine, other = (chemical_symbols[part.numbers[a]] for part in (force, place))
        raise UserError(
            f"{force.at(0, int(a) + 2)}: element '{mine}', but '{other}' in "
            f"{place.given}; give two files of one run, atoms in the same order"
        )
    both = zip(place.step, force.step, place.energy, force.energy, strict=False)
    for m, (step, other_step, energy, other_energy) in enumerate(both):
        if step != other_step or not (
            energy == other_energy or np.isnan([energy, other_energy]).all()
        ):
            raise UserError(
                f"{force.at(m, 1)}: step {other_step} with {other_energy} hartree, but step {step} "
                f"with {energy} hartree in {place.given}; give two files of one run"
            )
    if len(place.step) != len(force.step):
        shorter = min(place, force, key=lambda part: len(part.step))
        raise UserError(
            f"{shorter.given}: ends after frame {len(shorter.step)}, before its partner does; "
            f"copy it again, or read the common frames with --frames 1-{len(shorter.step)}"
        )
