"""Named sets as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import yaml
from ase.symbols import Symbols
from rich.console import Group
from rich.table import Table

from deepset_bench.data.catalogue import datasheet, is_shipped, load, names
from deepset_bench.errors import UserError
from deepset_bench.molecules.distinct import distinct_rows
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR

# A model of the true forces scores this against labels that contain the bias.
_BIAS = "bias force, mean |component| (floor against biased labels)"


def sets_table() -> Table:
    """One row for every set; a damaged one says so in its row."""
    table = Table()
    for heading in ("name", "frames", "atoms a frame", "formula", "method", "origin"):
        table.add_column(heading, overflow="fold")
    for name in names():
        origin = "shipped" if is_shipped(name) else "imported"
        try:
            frames, method = load(name), str(datasheet(name).get("method", "unknown"))
        except UserError as error:
            table.add_row(name, "", "", "", f"damaged: {error}", origin)
            continue
        fewest, most = frames.n_atoms.min(), frames.n_atoms.max()
        atoms = str(most) if fewest == most else f"{fewest}-{most}"
        table.add_row(name, str(len(frames)), atoms, formulas(frames), method, origin)
    return table


def set_summary(name: str) -> Group:
    """The datasheet of a set, its labels in both unit systems, and the trivial baselines.

    Raises:
        UserError: no such set, or its files are damaged.
    """
    frames, sheet = load(name), datasheet(name)
    facts = Table(title=f"{name}: {formulas(frames)}", show_header=False)
    several = sheet.pop("molecules", {})
    for key, value in sheet.items():
        facts.add_row(str(key), _plain(value))
    labels = Table("quantity", "eV, angstrom", "hartree, bohr")
    for quantity, value in energy_statistics(frames).items():
        labels.add_row(quantity, f"{value:.6g} eV", f"{value / HARTREE:.6g} hartree")
    for quantity, force in force_statistics(frames).items():
        if force is None:
            labels.add_row(quantity, "unknown", "unknown")
            continue
        atomic = f"{force / HARTREE_PER_BOHR:.6g} hartree/bohr"
        labels.add_row(quantity, f"{force:.6g} eV/angstrom", atomic)
    return Group(facts, *([_molecules_table(several)] if several else []), labels)


def _molecules_table(facts: dict[str, Any]) -> Table:
    """One row for every molecule of a generated set of several."""
    columns = {
        "T / K": "mean_temperature_kelvin",
        "energy std / eV": "energy_std_ev",
        "mean |force| / (eV/Å)": "mean_abs_force_ev_per_angstrom",
    }
    table = Table()
    table.add_column("molecule", no_wrap=True)
    table.add_column("SMILES", overflow="fold")
    for heading in ("formula", *columns):
        table.add_column(heading)
    for molecule, fact in facts.items():
        text = [molecule, fact["smiles"], fact["formula"]]
        values = [str(fact["measured"][key]) for key in columns.values()]
        table.add_row(*text, *values)
    return table


def formulas(frames: Frames) -> str:
    """The chemical formula, or the number of different ones."""
    counts, _ = distinct_rows(frames.composition(frames.species))
    if len(counts) > 1:
        return f"{len(counts)} formulas"
    numbers = np.repeat(frames.species, counts[0])
    return Symbols(numbers).get_chemical_formula()


def energy_statistics(frames: Frames) -> dict[str, float]:
    """Energies in eV, by what they are; deviations are from the mean of the frame's molecule."""
    molecule = np.unique(frames.molecule, return_inverse=True)[1]
    mean = np.bincount(molecule, frames.energy) / np.bincount(molecule)
    deviation = frames.energy - mean[molecule]
    return {
        "energy, mean": float(frames.energy.mean()),
        "energy, standard deviation within a molecule": float(np.sqrt(np.mean(deviation**2))),
        "baseline: energy MAE of predicting the molecule's mean": float(np.abs(deviation).mean()),
    }


def force_statistics(frames: Frames) -> dict[str, float | None]:
    """Mean absolute force components in eV/angstrom, by what they are; None where there is none."""
    statistics: dict[str, float | None] = {
        "force, mean |component|": _mean_absolute(part.forces for part in frames.pieces()),
        _BIAS: None,
    }
    statistics["baseline: force MAE of predicting zero"] = next(iter(statistics.values()))
    if frames.bias_forces is not None:
        statistics[_BIAS] = _mean_absolute(
            part.bias_forces for part in frames.pieces() if part.bias_forces is not None
        )
        statistics["baseline: the same against biased labels"] = _mean_absolute(
            frames.labelled_pieces("biased")
        )
    return statistics


def _mean_absolute(pieces: Iterable[FloatArray]) -> float | None:
    """Of the components of some forces (a, 3); None where no frame has any."""
    total, count = 0.0, 0
    for forces in pieces:
        known = forces[~np.isnan(forces)]
        total += float(np.abs(known).sum())
        count += known.size
    return total / count if count else None


def _plain(value: Any) -> str:
    if isinstance(value, dict | list):
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).strip()
    return str(value)
