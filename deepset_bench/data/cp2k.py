"""CP2K trajectories: `PROJECT-pos-1.xyz` with `PROJECT-frc-1.xyz`, plain, .xz or .gz.

Both files repeat, for every frame, the number of atoms, a comment line
` i =      100, time =       20.000, E =       -12.7400956796` (step, fs, hartree) and one line
`element x y z` for each atom: angstrom in the one, hartree/bohr in the other. Either may be in
parts, down to one file a frame.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.plausible import check_plausible, net_torque
from deepset_bench.data.sources import check_range, expand, frame_range, read_text
from deepset_bench.data.units import HARTREE, HARTREE_PER_BOHR
from deepset_bench.data.xyz import (
    NUMBER,
    count,
    damaged,
    miscounted,
    not_a_number,
    shown,
    whole_lines,
)
from deepset_bench.errors import UserError

_COMMENT = re.compile(
    rf"\s*i\s*=\s*([0-9]{{1,18}}),(?:\s*time\s*=\s*{NUMBER},)?\s*E\s*=\s*{NUMBER}\s*"
)
_ROW = re.compile(rf"\s*([A-Z][a-z]?)\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}\s*")


@dataclass(eq=False)
class _Trajectory:
    """All files of one kind, read one after another; M frames of A atoms.

    Attributes:
        given: the file, or the pattern that names several.
        files: each file with the number of frames before it.
        step: (M,) of the simulation.
        energy: (M,) in hartree.
        symbols: (A,) chemical symbols.
        numbers: (M * A * 3,) what the lines of the atoms hold.
    """

    given: Path
    files: list[tuple[Path, int]] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)

    @property
    def vectors(self) -> FloatArray:
        """(M, A, 3)"""
        return np.array(self.numbers).reshape(-1, len(self.symbols), 3)

    def at(self, frame: int, row: int) -> str:
        """Where a row of a frame is, both from 0: the file, the frame and the line, from 1."""
        path, first = self.files[bisect_right(self.files, frame, key=lambda part: part[1]) - 1]
        line = (frame - first) * (len(self.symbols) + 2) + row + 1
        return f"{path}: frame {frame + 1}, line {line}"


def read_cp2k(positions: Path, forces: Path, name: str, frames: str | None = None) -> Frames:
    """Read a pair of position and force files into eV, angstrom and eV/angstrom.

    The forces are kept as they were printed: whether they hold a bias is not in the files.

    Args:
        positions: the `-pos-` file, angstrom; or a pattern such as `raw/part_*.pos` for one in
            parts, which are taken in the order of the numbers in their names.
        forces: the `-frc-` file of the same frames, hartree/bohr; or a pattern.
        name: the molecule, for every frame.
        frames: `A-B`, counted from 1 with both ends in; all frames for None. What lies beyond
            B is not looked at, so that the whole part of a trajectory cut short can be used.

    Raises:
        UserError: either file is damaged or they are not of the same frames; one line with the
            file, the frame (from 1), the line and what to do.
    """
    chosen = frame_range(frames)
    place, force = _read(positions, chosen), _read(forces, chosen)
    _check_pair(place, force)
    M, A = len(place.step), len(place.symbols)
    index = np.arange(M)[chosen]
    if np.array_equal(place.vectors[index[0]], force.vectors[index[0]]):
        raise UserError(
            f"{force.at(index[0], 0)}: the same numbers as in {positions}; "
            "give the position file to --positions and the force file to --forces"
        )
    read = Frames(
        numbers=np.tile([atomic_numbers[symbol] for symbol in place.symbols], len(index)),
        positions=place.vectors[chosen].reshape(-1, 3),
        n_atoms=np.full(len(index), A),
        energy=np.array(place.energy)[chosen] * HARTREE,
        forces=force.vectors[chosen].reshape(-1, 3) * HARTREE_PER_BOHR,
        bias_forces=None,
        molecule=np.full(len(index), name),
        index=index,
    )
    check_plausible(
        read,
        lambda frame, atom: place.at(index[frame], 1 if atom is None else atom + 2),
        lambda frame, atom: force.at(index[frame], 1 if atom is None else atom + 2),
        hint="are --positions and --forces exchanged?",
    )
    if net_torque(read):
        raise UserError(
            f"{force.at(index[0], 0)}: the forces cancel but would spin the molecule: they are not "
            f"of the atoms in {positions} in that order, or of a periodic system; give two files "
            "of one isolated molecule"
        )
    return read


def _read(given: Path, chosen: slice) -> _Trajectory:
    found = _Trajectory(given)
    for path in expand(given):
        if chosen.stop is None or len(found.step) < chosen.stop:
            found.files.append((path, len(found.step)))
            _parse(path, chosen.stop, found)
    check_range(given, chosen, len(found.step))
    return found


def _parse(path: Path, stop: int | None, found: _Trajectory) -> None:
    """Append the frames of one file, up to frame `stop` of them all."""
    lines, whole = whole_lines(read_text(path))
    first = len(found.step)
    A = count(lines[0]) if lines else None
    if A is None or len(found.symbols or range(A)) != A:
        text = lines[0] if lines else "one line without an end"
        raise miscounted(path, first, 0, text, len(found.symbols))
    stride = A + 2
    M = len(lines) // stride
    end = first + M, len(lines) - whole
    whole = whole and len(lines) == M * stride
    if stop is not None and stop - first <= M:
        M, whole = stop - first, True
    for m in range(M):
        at = m * stride
        if count(lines[at]) != A:
            raise miscounted(path, first + m, at, lines[at], A)
        comment = _COMMENT.fullmatch(lines[at + 1])
        if comment is None:
            raise damaged(path, first + m, at + 1, _comment_problem(lines[at + 1]))
        if found.step and int(comment[1]) <= found.step[-1]:
            what = f"step {comment[1]} follows step {found.step[-1]}: two trajectories were joined"
            raise damaged(path, first + m, at + 1, what)
        rows = [row for line in lines[at + 2 : at + stride] if (row := _ROW.fullmatch(line))]
        if len(rows) < A:
            bad = next(a for a in range(at + 2, at + stride) if not _ROW.fullmatch(lines[a]))
            raise damaged(path, first + m, bad, _row_problem(lines[bad]))
        symbols = [row[1] for row in rows]
        if symbols != found.symbols:
            found.symbols = found.symbols or symbols
            for a, (symbol, expected) in enumerate(zip(symbols, found.symbols, strict=True)):
                if symbol not in chemical_symbols[1:]:
                    what = f"unknown element symbol '{symbol}'"
                    raise damaged(path, first + m, at + 2 + a, what)
                if symbol != expected:
                    what = f"element '{symbol}' where frame 1 has '{expected}'"
                    raise damaged(path, first + m, at + 2 + a, what)
        found.step.append(int(comment[1]))
        found.energy.append(float(comment[3]))
        for row in rows:
            found.numbers.extend(map(float, row.group(2, 3, 4)))
    if not whole:
        raise damaged(path, *end, "the file ends within this frame")


def _comment_problem(line: str) -> str:
    if not re.search(r"\bE\s*=", line):
        return f"no energy 'E = NUMBER' (hartree) in the comment line '{shown(line)}'"
    return f"expected 'i = STEP, time = FS, E = HARTREE', found '{shown(line)}'"


def _row_problem(line: str) -> str:
    return not_a_number(line.split()[1:4]) or f"expected 'element x y z', found '{shown(line)}'"


def _check_pair(place: _Trajectory, force: _Trajectory) -> None:
    """Raise unless both hold the same frames of the same atoms."""
    if len(place.symbols) != len(force.symbols):
        raise UserError(
            f"{force.at(0, 0)}: {len(force.symbols)} atoms, but {place.given} has "
            f"{len(place.symbols)}; give two files of one run"
        )
    for a, (mine, other) in enumerate(zip(force.symbols, place.symbols, strict=True)):
        if mine != other:
            raise UserError(
                f"{force.at(0, a + 2)}: element '{mine}', but '{other}' in "
                f"{place.given}; give two files of one run, atoms in the same order"
            )
    both = zip(place.step, force.step, place.energy, force.energy, strict=False)
    for m, (step, other_step, energy, other_energy) in enumerate(both):
        if step != other_step or energy != other_energy:
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
