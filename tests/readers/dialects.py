"""Small files as programs write them: four frames of water for every reader."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from deepset_bench.molecules.frames import Frames
from deepset_bench.readers import recognised
from deepset_bench.readers.cp2k import read_cp2k
from deepset_bench.readers.options import Options

WATER = ["O", "H", "H"]
ENERGIES = [-5.7, -5.6, -5.65, -5.55]
M, A = 4, 3
PLACES = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]) + 0.01 * np.arange(M)[:, None, None]
FORCES = 0.01 * PLACES[:, ::-1]


def read_file(path: Path, name: str, unlabelled: bool = False, **options: Any) -> Frames:
    """The frames of a file of any kind, read anew."""
    return recognised(path).load()(path, name, Options(**options), unlabelled).frames


def read_pair(positions: Path, forces: Path, name: str, **options: Any) -> Frames:
    """The frames of a CP2K pair, read anew."""
    return read_cp2k(positions, forces, name=name, options=Options(**options)).frames


# Springs of different strength between all pairs of five atoms: no net force, no torque.
CHAIN = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 1.2, 2]]) * np.ones((M, 1, 1))
SPRINGS = np.einsum(
    "ij,mijk->mik", 0.01 * np.add.outer(*[[1, 2, 5, 3, 7]] * 2), CHAIN[:, None] - CHAIN[:, :, None]
)


def cp2k_text(symbols: list[str], vectors: np.ndarray, energies: list[float]) -> str:
    """What CP2K prints: ten decimals, one frame every 100 steps of 0.2 fs."""
    out = []
    for m, (frame, energy) in enumerate(zip(vectors, energies, strict=True)):
        out.append(f"{len(symbols):8d}\n")
        out.append(f" i = {100 * m:8d}, time = {20.0 * m:12.3f}, E = {energy:19.10f}\n")
        for symbol, (x, y, z) in zip(symbols, frame, strict=True):
            out.append(f"{symbol:>3} {x:19.10f} {y:19.10f} {z:19.10f}\n")
    return "".join(out)


POS = cp2k_text(WATER, PLACES, ENERGIES)
FRC = cp2k_text(WATER, FORCES, ENERGIES)


def extxyz_text(energies: list[float] = ENERGIES, places: np.ndarray = PLACES) -> str:
    """What ASE writes, with `energy` and `forces`."""
    out = []
    for energy, place, force in zip(energies, places, FORCES, strict=True):
        out.append(f"{A}\nProperties=species:S:1:pos:R:3:forces:R:3 energy={energy} pbc='F F F'\n")
        for symbol, row in zip(WATER, np.hstack([place, force]), strict=True):
            out.append(symbol + "".join(f" {x:.8f}" for x in row) + "\n")
    return "".join(out)


XYZ = extxyz_text()


def rmd17() -> dict[str, np.ndarray]:
    """rMD17's arrays, kcal/mol and angstrom; energies are not in the others' unit."""
    return {
        "nuclear_charges": np.array([8, 1, 1], dtype=np.uint8),
        "coords": PLACES.copy(),
        "energies": np.array(ENERGIES) - 1000,
        "forces": FORCES.copy(),
        "old_indices": np.arange(4.0),
    }


def md17() -> dict[str, np.ndarray]:
    """MD17's arrays, kcal/mol and angstrom; the name is the Python object that it is there."""
    return {
        "z": np.array([8, 1, 1], dtype=np.uint8),
        "R": PLACES.copy(),
        "E": (np.array(ENERGIES) - 1000)[:, None],
        "F": FORCES.copy(),
        "name": np.array("water", dtype=object),
    }


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def ani1x() -> dict[str, dict[str, np.ndarray]]:
    """ANI-1x's groups, hartree and angstrom: water with a gap, and methane."""
    methane = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63
    gap = FORCES.astype(np.float32).copy()
    gap[2] = np.nan
    return {
        "C1H4": {
            "atomic_numbers": np.array([6, 1, 1, 1, 1], dtype=np.uint8),
            "coordinates": methane[None].astype(np.float32),
            "wb97x_dz.energy": np.array([-40.5]),
            "wb97x_dz.forces": np.zeros((1, 5, 3), dtype=np.float32),
        },
        "H2O1": {
            "atomic_numbers": np.array([8, 1, 1], dtype=np.uint8),
            "coordinates": PLACES.astype(np.float32),
            "wb97x_dz.energy": np.array(ENERGIES) - 70,
            "wb97x_dz.forces": gap,
            "wb97x_tz.energy": np.array(ENERGIES) - 71,
            "wb97x_tz.forces": -gap,
        },
    }


def ani1() -> dict[str, dict[str, np.ndarray]]:
    """ANI-1's groups: symbols, energies, no forces."""
    return {
        "gdb11_s01/gdb11_s01-2": {
            "species": np.array([b"O", b"H", b"H"]),
            "coordinates": PLACES.astype(np.float32),
            "energies": np.array(ENERGIES) - 70,
            "smiles": np.array([b"O"]),
        }
    }


def write_hdf5(path: Path, groups: dict[str, dict[str, np.ndarray]]) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        for group, arrays in groups.items():
            for key, value in arrays.items():
                file.create_dataset(f"{group}/{key}", data=value)
    return path
