"""Energies of free atoms, and whether they are of the method of the labels."""

from __future__ import annotations

from dataclasses import dataclass

from ase.data import chemical_symbols

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.model.energy_reference import isolated_energies
from deepset_bench.molecules.frames import Frames, IntArray
from deepset_bench.schema import Config

SHIPPED = "GFN1-xTB"
"""The method of the energies in conf/reference/isolated_atoms.yaml."""


@dataclass(frozen=True)
class FreeAtoms:
    """Atomic number -> energy in eV, and what is to be said of them, in one line or empty."""

    energies: dict[int, float]
    note: str = ""


def free_atoms(config: Config, frames: Frames, species: IntArray) -> FreeAtoms:
    """What `reference=isolated_atoms` takes: the set's own lone atoms first, then the given ones.

    Args:
        config: of the run.
        frames: the whole set.
        species: (s,) atomic numbers of the training frames.

    Raises:
        UserError: the shipped energies would serve labels of another method.
    """
    if config.reference.kind != "isolated_atoms":
        return FreeAtoms({})
    given = {int(z): energy for z, energy in config.reference.energies_ev.items()}
    own = isolated_energies(frames)
    shipped = experiment(["reference=isolated_atoms"]).config.reference.energies_ev.items()
    foreign = [int(z) for z, energy in shipped if given.get(int(z)) == energy]
    foreign = [z for z in foreign if z in species and z not in own]
    method = str(catalogue.datasheet(config.data.name).get("method", ""))
    if not foreign or SHIPPED.lower() in method.lower():
        return FreeAtoms(given | own)
    symbols = " and ".join(chemical_symbols[z] for z in foreign)
    instead = ", ".join(f"reference.energies_ev.{z}=..." for z in foreign)
    instead = f"give {instead} in eV, add lone atoms to the set, or take reference=composition"
    if method and method != catalogue.METHOD_UNKNOWN:
        raise UserError(
            f"reference=isolated_atoms has energies of {SHIPPED} for {symbols}, but the labels of "
            f"{config.data.name} are of {method}; {instead}"
        )
    note = (
        f"the energy reference: free {symbols} of {SHIPPED}, and nobody says of which method the "
        f"labels of {config.data.name} are; if of another, {instead}"
    )
    return FreeAtoms(given | own, note)
