"""Any file ASE reads (extended XYZ, .traj, .db, ...), with named labels in named units."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.db import connect
from ase.io import iread

from deepset_bench.data import units
from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.sources import check_range, frame_range, read_bytes
from deepset_bench.errors import UserError, nearest

BIAS_KEY = "bias_forces"


def read_ase(
    path: Path,
    name: str,
    frames: str | None = None,
    energy_key: str = "energy",
    forces_key: str = "forces",
    energy_unit: str = "eV",
    length_unit: str = "angstrom",
) -> Frames:
    """Read labelled molecules into eV, angstrom and eV/angstrom.

    Forces are in energy unit / length unit. So is the array `bias_forces`, read where every frame
    has it; the forces are then those of the potential alone.
    A set of one composition is called `name` throughout; in a set of several, each frame's
    `molecule` is its formula, so that a split can hold whole molecules out.

    Args:
        path: the file; .xz and .gz are decompressed before ASE seeks in them.
        name: what to call the set.
        frames: `A-B`, counted from 1 with both ends in; all frames for None.
        energy_key: where the energy is, in `atoms.info` or the stored calculator results.
        forces_key: where the forces are, in `atoms.arrays` or the stored calculator results.
        energy_unit: `eV`, `meV`, `hartree`, `kcal/mol` or `kJ/mol`.
        length_unit: `angstrom` or `bohr`.

    Raises:
        UserError: an unknown unit or key, a file ASE cannot read, a periodic frame, a label that is
            not finite; one line with the file, the frame (from 1) and what to do.
    """
    energy_factor, length_factor = units.energy_unit(energy_unit), units.length_unit(length_unit)
    chosen = frame_range(frames)
    positions, forces, bias, energies, numbers, formulas = [], [], [], [], [], []
    m = -1
    for m, atoms in enumerate(_images(path, chosen.stop)):
        if m < chosen.start:
            continue
        where = f"{path}: frame {m + 1}"
        if len(atoms) == 0 or atoms.numbers.min() < 1:
            raise UserError(f"{where}: no atoms, or one of no element; remove the frame")
        if atoms.pbc.any():
            raise UserError(
                f"{where}: is periodic, but models here see molecules in vacuum; "
                "write it with pbc='F F F' if its molecule is isolated"
            )
        shape = (len(atoms), 3)
        energies.append(_label(atoms, energy_key, (), where, "--energy-key"))
        forces.append(_label(atoms, forces_key, shape, where, "--forces-key"))
        if BIAS_KEY in _labels(atoms):
            bias.append(_label(atoms, BIAS_KEY, shape, where, ""))
        positions.append(_finite(atoms.positions, "positions", where))
        numbers.append(atoms.numbers)
        formulas.append(atoms.get_chemical_formula())
    check_range(path, chosen, m + 1)
    if not numbers:
        raise UserError(f"{path}: holds no frames")
    if bias and len(bias) < len(numbers):
        raise UserError(f"{path}: only some frames have {BIAS_KEY}; write it for all or none")
    force_factor = energy_factor / length_factor
    return Frames(
        numbers=np.concatenate(numbers),
        positions=np.concatenate(positions) * length_factor,
        n_atoms=np.array([len(part) for part in numbers]),
        energy=np.array(energies) * energy_factor,
        forces=np.concatenate(forces) * force_factor,
        bias_forces=np.concatenate(bias) * force_factor if bias else None,
        molecule=np.array(formulas if len(set(formulas)) > 1 else [name] * len(formulas)),
        index=np.arange(len(numbers)) + chosen.start,
    )


def _images(path: Path, stop: int | None) -> Iterator[Atoms]:
    """The first `stop` frames of a file, or all; what ASE trips over becomes one line."""
    data = read_bytes(path)
    m = 0
    with tempfile.TemporaryDirectory() as folder:
        plain = path
        if path.suffix in (".xz", ".gz"):
            plain = Path(folder) / path.stem
            plain.write_bytes(data)
        # A number cut short is still a number, so a last line counts only with its line end.
        if plain.suffix in (".xyz", ".extxyz") and not data.endswith(b"\n"):
            raise UserError(
                f"{path}: its last line has no end: the file is cut short; copy it again"
            )
        try:
            for atoms in _database(plain, stop) if plain.suffix == ".db" else _file(plain, stop):
                yield atoms
                m += 1
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            remedy = f", or read what comes before with --frames 1-{m}" if m else ""
            raise UserError(
                f"{path}: frame {m + 1}: ASE cannot read it ({reason}); write it again{remedy}"
            ) from None


def _file(path: Path, stop: int | None) -> Iterator[Atoms]:
    return iread(path, index=slice(0, stop), do_not_split_by_at_sign=True)


def _database(path: Path, stop: int | None) -> Iterator[Atoms]:
    # iread leaves out the key-value pairs and the data of a row, where named labels are.
    with connect(path, serial=True) as database:
        for row in database.select(limit=stop):
            yield row.toatoms(add_additional_information=True)


def _labels(atoms: Atoms) -> dict[str, Any]:
    """Everything stored with a frame, by name."""
    info = dict(atoms.info)
    rows = (info.pop("key_value_pairs", {}), info.pop("data", {}))
    results = atoms.calc.results if atoms.calc else {}
    labels = {**atoms.arrays, **info, **results}
    for row in rows:
        labels |= row
    return labels


def _label(atoms: Atoms, key: str, shape: tuple[int, ...], where: str, option: str) -> FloatArray:
    labels = _labels(atoms)
    if key not in labels:
        raise UserError(f"{where}: has no '{key}'; {nearest(key, labels)} Choose with {option}")
    return _finite(labels[key], key, where, shape)


def _finite(value: Any, name: str, where: str, shape: tuple[int, ...] | None = None) -> FloatArray:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{where}: '{name}' is not a number but {value!r:.40}") from None
    if shape is not None and array.shape != shape:
        raise UserError(f"{where}: '{name}' has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise UserError(f"{where}: '{name}' is not finite; leave the frame out")
    return array
