"""CP2K trajectories: `PROJECT-pos-1.xyz` with `PROJECT-frc-1.xyz`, plain, .xz or .gz.

Both files repeat, for every frame, the number of atoms, a comment line
` i =      100, time =       20.000, E =       -12.7400956796` (step, fs, hartree) and one line
`element x y z` for each atom: angstrom in the one, hartree/bohr in the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.sources import check_range, frame_range, read_text
from deepset_bench.data.units import HARTREE, HARTREE_PER_BOHR
from deepset_bench.errors import UserError

# Two digits of exponent: what is larger is no float64, and Fortran prints no more.
_NUMBER = r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?)"
_COUNT = re.compile(r"\s*([1-9][0-9]{0,8})\s*")
_COMMENT = re.compile(
    rf"\s*i\s*=\s*([0-9]{{1,18}}),(?:\s*time\s*=\s*{_NUMBER},)?\s*E\s*=\s*{_NUMBER}\s*"
)
_ROW = re.compile(rf"\s*([A-Z][a-z]?)\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}\s*")
# Shorter than any bond by far, longer than the numbers in a force file are apart.
_TOO_CLOSE = 0.3  # angstrom


@dataclass(frozen=True, eq=False)
class _Trajectory:
    """One file: `step` (M,), `energy` (M,) in hartree, `symbols` (A,), `vectors` (M, A, 3)."""

    path: Path
    step: list[int]
    energy: list[float]
    symbols: list[str]
    vectors: FloatArray


def read_cp2k(positions: Path, forces: Path, name: str, frames: str | None = None) -> Frames:
    """Read a pair of position and force files into eV, angstrom and eV/angstrom.

    The forces are kept as they were printed: whether they hold a bias is not in the files.

    Args:
        positions: the `-pos-` file, angstrom.
        forces: the `-frc-` file of the same frames, hartree/bohr.
        name: the molecule, for every frame.
        frames: `A-B`, counted from 1 with both ends in; all frames for None. What lies beyond
            B is not looked at, so that the whole part of a trajectory cut short can be used.

    Raises:
        UserError: either file is damaged or they are not of the same frames; one line with the
            file, the frame (from 1), the line and what to do.
    """
    chosen = frame_range(frames)
    place, force = _parse(positions, chosen), _parse(forces, chosen)
    _check_pair(place, force)
    M, A = len(place.step), len(place.symbols)
    index = np.arange(M)[chosen]
    _check_geometry(place, force, int(index[0]))
    return Frames(
        numbers=np.tile([atomic_numbers[symbol] for symbol in place.symbols], len(index)),
        positions=place.vectors[chosen].reshape(-1, 3),
        n_atoms=np.full(len(index), A),
        energy=np.array(place.energy)[chosen] * HARTREE,
        forces=force.vectors[chosen].reshape(-1, 3) * HARTREE_PER_BOHR,
        bias_forces=None,
        molecule=np.full(len(index), name),
        index=index,
    )


def _parse(path: Path, chosen: slice) -> _Trajectory:
    lines = read_text(path).split("\n")
    # A number cut short is still a number, so a last line counts only with its line end.
    unended = lines.pop().strip() != ""
    while lines and not lines[-1].strip():
        lines.pop()
    count = _COUNT.fullmatch(lines[0]) if lines else None
    if count is None:
        found = lines[0] if lines else "one line without an end"
        raise _error(path, 0, 0, f"expected the number of atoms, found '{_shown(found)}'")
    A = int(count[1])
    stride = A + 2
    M = len(lines) // stride
    whole = len(lines) == M * stride and not unended
    if chosen.stop is not None and chosen.stop <= M:
        M, whole = chosen.stop, True

    steps: list[int] = []
    energies: list[float] = []
    symbols: list[str] = []
    values: list[tuple[str, ...]] = []
    for m in range(M):
        at = m * stride
        if lines[at].strip() != count[1]:
            what = f"expected the number of atoms, {A}, found '{_shown(lines[at])}'"
            raise _error(path, m, at, what)
        comment = _COMMENT.fullmatch(lines[at + 1])
        if comment is None:
            raise _error(path, m, at + 1, _comment_problem(lines[at + 1]))
        if steps and int(comment[1]) <= steps[-1]:
            what = f"step {comment[1]} follows step {steps[-1]}: two trajectories were joined"
            raise _error(path, m, at + 1, what)
        rows = [row for line in lines[at + 2 : at + stride] if (row := _ROW.fullmatch(line))]
        if len(rows) < A:
            bad = next(a for a in range(at + 2, at + stride) if not _ROW.fullmatch(lines[a]))
            raise _error(path, m, bad, _row_problem(lines[bad]))
        found_symbols = [row[1] for row in rows]
        symbols = symbols or found_symbols
        for a, symbol in enumerate(found_symbols if m == 0 or found_symbols != symbols else ()):
            if symbol not in chemical_symbols[1:]:
                raise _error(path, m, at + 2 + a, f"unknown element symbol '{symbol}'")
            if symbol != symbols[a]:
                what = f"element '{symbol}' where frame 1 has '{symbols[a]}'"
                raise _error(path, m, at + 2 + a, what)
        steps.append(int(comment[1]))
        energies.append(float(comment[3]))
        values.extend(row.group(2, 3, 4) for row in rows)
    if not whole:
        raise _error(path, M, len(lines) - (not unended), "the file ends within this frame")
    check_range(path, chosen, M)
    vectors = np.array(values, dtype=np.float64).reshape(M, A, 3)
    return _Trajectory(path, steps, energies, symbols, vectors)


def _error(path: Path, frame: int, line: int, what: str) -> UserError:
    """One line for the frame and line given from 0, with the way out."""
    remedy = (
        f"or read the frames before it with --frames 1-{frame}" if frame else "or mend the line"
    )
    return UserError(
        f"{path}: frame {frame + 1}, line {line + 1}: {what}; write the file again, {remedy}"
    )


def _shown(line: str) -> str:
    text = " ".join(line.split())
    return text if len(text) <= 40 else f"{text[:40]}..."


def _comment_problem(line: str) -> str:
    if not re.search(r"\bE\s*=", line):
        return f"no energy 'E = NUMBER' (hartree) in the comment line '{_shown(line)}'"
    return f"expected 'i = STEP, time = FS, E = HARTREE', found '{_shown(line)}'"


def _row_problem(line: str) -> str:
    for word in line.split()[1:4]:
        if not re.fullmatch(_NUMBER, word):
            return f"'{_shown(word)}' is not a finite number"
    return f"expected 'element x y z', found '{_shown(line)}'"


def _check_pair(place: _Trajectory, force: _Trajectory) -> None:
    """Raise unless both files hold the same frames of the same atoms, and different numbers."""
    if len(place.symbols) != len(force.symbols):
        raise UserError(
            f"{force.path}: frame 1, line 1: {len(force.symbols)} atoms, but {place.path} has "
            f"{len(place.symbols)}; give two files of one run"
        )
    for a, (mine, other) in enumerate(zip(force.symbols, place.symbols, strict=True)):
        if mine != other:
            raise UserError(
                f"{force.path}: frame 1, line {a + 3}: element '{mine}', but '{other}' in "
                f"{place.path}; give two files of one run, atoms in the same order"
            )
    both = zip(place.step, force.step, place.energy, force.energy, strict=False)
    for m, (step, other_step, energy, other_energy) in enumerate(both):
        if step != other_step or energy != other_energy:
            raise UserError(
                f"{force.path}: frame {m + 1}, line {m * (len(force.symbols) + 2) + 2}: "
                f"step {other_step} with {other_energy} hartree, but step {step} with {energy} "
                f"hartree in {place.path}; give two files of one run"
            )
    if len(place.step) != len(force.step):
        shorter = min(place, force, key=lambda part: len(part.step))
        raise UserError(
            f"{shorter.path}: ends after frame {len(shorter.step)}, before its partner does; "
            f"copy it again, or read the common frames with --frames 1-{len(shorter.step)}"
        )


def _check_geometry(place: _Trajectory, force: _Trajectory, frame: int) -> None:
    """Raise where the numbers cannot be positions: nothing in the files says which is which."""
    if np.array_equal(place.vectors[frame], force.vectors[frame]):
        raise UserError(
            f"{force.path}: frame {frame + 1}: the same numbers as in {place.path}; "
            "give the position file to --positions and the force file to --forces"
        )
    separation = np.linalg.norm(np.diff(place.vectors[frame], axis=0), axis=1)
    if len(separation) and separation.min() < _TOO_CLOSE:
        a = int(separation.argmin())
        raise UserError(
            f"{place.path}: frame {frame + 1}, line {frame * (len(place.symbols) + 2) + a + 4}: "
            f"{separation[a]:.3f} angstrom from the atom before it; these are no positions: "
            "are --positions and --forces exchanged?"
        )
