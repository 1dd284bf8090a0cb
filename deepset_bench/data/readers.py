"""Any file ASE reads (extended XYZ, .traj, .db, ...), with named labels in named units."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.db import connect
from ase.io import iread

from deepset_bench.data.blocks import Block, elements_array, join, no_label, numbers_array
from deepset_bench.data.extxyz import check_extxyz
from deepset_bench.data.frames import FloatArray, Frames
from deepset_bench.data.sources import check_range, frame_range, read_bytes, read_text
from deepset_bench.data.units import Units
from deepset_bench.errors import UserError

BIAS_KEY = "bias_forces"


def read_ase(
    path: Path,
    name: str,
    frames: str | None = None,
    energy_key: str = "energy",
    forces_key: str = "forces",
    energy_unit: str = "eV",
    length_unit: str = "angstrom",
    unlabelled: bool = False,
) -> Frames:
    """Read labelled molecules into eV, angstrom and eV/angstrom.

    Forces are in energy unit / length unit. So is the array `bias_forces`, read where every frame
    has it; the forces are then those of the potential alone. For the names of molecules see
    `name_molecules`.

    Args:
        path: the file; .xz and .gz are decompressed before ASE seeks in them.
        name: what to call the set.
        frames: `A-B`, counted from 1 with both ends in; all frames for None.
        energy_key: where the energy is, in `atoms.info` or the stored calculator results.
        forces_key: where the forces are, in `atoms.arrays` or the stored calculator results.
        energy_unit: `eV`, `meV`, `hartree`, `kcal/mol` or `kJ/mol`.
        length_unit: `angstrom` or `bohr`.
        unlabelled: a frame may lack energy or forces; then both are zero in all frames.

    Raises:
        UserError: an unknown unit or key, a file ASE cannot read, a periodic frame, a label that is
            not finite; one line with the file, the frame and in text the line (both from 1).
    """
    units = Units(energy_unit, length_unit)
    chosen = frame_range(frames)
    blocks: list[Block] = []
    wheres: list[str] = []
    labelled = True
    m = -1
    for m, (atoms, line) in enumerate(_images(path, chosen.stop, {forces_key, BIAS_KEY})):
        if m < chosen.start:
            continue
        where = f"{path}: frame {m + 1}{line}"
        if atoms.pbc.any():
            raise UserError(
                f"{where}: is periodic, but models here see molecules in vacuum; "
                "write it with pbc='F F F' if its molecule is isolated"
            )
        labels = _labels(atoms)
        labelled = labelled and {energy_key, forces_key} <= set(labels)
        if unlabelled and not labelled:
            labels |= {energy_key: 0.0, forces_key: np.zeros((len(atoms), 3))}
        shape = (1, len(atoms), 3)
        blocks.append(
            Block(
                numbers=elements_array(atoms.numbers, "numbers", where),
                positions=_label(labels, "positions", shape, where, ""),
                energy=_label(labels, energy_key, (1,), where, "--energy-key"),
                forces=_label(labels, forces_key, shape, where, "--forces-key"),
                bias=_label(labels, BIAS_KEY, shape, where, "") if BIAS_KEY in labels else None,
                index=np.array([m]),
            )
        )
        wheres.append(where)
    check_range(path, chosen, m + 1)
    if not blocks:
        raise UserError(f"{path}: holds no frames")
    if len({block.bias is None for block in blocks}) > 1:
        raise UserError(f"{path}: only some frames have {BIAS_KEY}; write it for all or none")
    if not labelled:
        blocks = [replace(b, energy=0 * b.energy, forces=0 * b.forces) for b in blocks]
    return join(
        blocks,
        name,
        units,
        lambda frame, atom: wheres[frame] + ("" if atom is None else f", atom {atom + 1}"),
    )


def _images(path: Path, stop: int | None, numeric: set[str]) -> Iterator[tuple[Atoms, str]]:
    """The first `stop` frames of a file, or all, and for text where they begin.

    What ASE trips over becomes one line.
    """
    m = 0
    with tempfile.TemporaryDirectory() as folder:
        plain = path
        if path.suffix in (".xz", ".gz"):
            plain = Path(folder) / path.stem
            plain.write_bytes(read_bytes(path))
        elif not path.is_file() or path.stat().st_size == 0:
            read_bytes(path)  # says what is wrong
        lines: list[int] = []
        text = ""
        if plain.suffix in (".xyz", ".extxyz"):
            text = read_text(path, "utf-8")
            lines = check_extxyz(path, text, numeric, stop)
        try:
            for atoms in _ase_images(plain, text, stop):
                yield atoms, f", line {lines[m] + 1}" if lines else ""
                m += 1
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            remedy = f", or read what comes before with --frames 1-{m}" if m else ""
            raise UserError(
                f"{path}: frame {m + 1}: ASE cannot read it ({reason}); write it again{remedy}"
            ) from None


def _ase_images(path: Path, text: str, stop: int | None) -> Iterator[Atoms]:
    if text:
        return iread(io.StringIO(text), index=slice(0, stop), format="extxyz")
    if path.suffix == ".db":
        return _database(path, stop)
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


def _label(
    labels: dict[str, Any], key: str, shape: tuple[int, ...], where: str, option: str
) -> FloatArray:
    if key not in labels:
        raise no_label(where, key, labels, option)
    return numbers_array(np.asarray(labels[key])[None], key, shape, lambda *_: where)
