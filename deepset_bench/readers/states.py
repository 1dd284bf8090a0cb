"""Charge and spin as files state them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import IntArray, impossible_spins
from deepset_bench.readers.xyz import shown

KEYS = {
    "charge": (
        *("charge", "total_charge", "net_charge", "tot_charge", "molecular_charge"),
        *("molecule_charge", "mol_charge", "totalcharge"),
    ),
    "spin": ("spin", "multiplicity", "spin_multiplicity", "total_spin", "mult", "spinmultiplicity"),
}
"""What files call the total charge and the multiplicity 2S + 1, in any case of letters."""
STATE_KEYS = frozenset(key for keys in KEYS.values() for key in keys)
ATOMS = "initial_charges"  # ASE's, whose sum some programs take for the total


def stated(
    quantity: str, found: Mapping[str, Any], m: int, where: Callable[[int], str]
) -> IntArray | None:
    """(m,) charges or spins of frames, or None where a file says nothing of them.

    Args:
        quantity: `charge` or `spin`.
        found: what the file holds of the frames; by name, one value for all or one for each.
        m: frames.
        where: says where one of them is.

    Raises:
        UserError: no whole number, or two names that contradict each other.
    """
    values: dict[str, IntArray] = {}
    for key, value in found.items():
        array = np.asarray(value)
        if key.lower() in KEYS[quantity] and array.size in (1, m):
            values[key] = _whole(key, np.broadcast_to(array.reshape(-1), m), quantity, where)
    if quantity == "charge" and ATOMS in found:
        total = np.asarray(found[ATOMS], dtype=np.float64).reshape(m, -1).sum(axis=1)
        if np.all(np.abs(total - np.round(total)) < 0.01) and np.round(total).any():
            values[f"the sum of {ATOMS}"] = np.round(total).astype(np.int64)
    if not values:
        return None
    (first, array), *others = values.items()
    for key, other in others:
        known = (array != 0) & (other != 0) if quantity == "spin" else np.ones(m, dtype=bool)
        for row in np.flatnonzero(known & (array != other))[:1]:
            raise UserError(
                f"{where(int(row))}: {first} is {array[row]}, but {key} is {other[row]}; keep the "
                "one that is right"
            )
        array = np.where(array == 0, other, array)  # a spin of 0 is one that is not known
    return array


def check_electrons(
    protons: int, charge: IntArray, spin: IntArray, where: Callable[[int], str]
) -> None:
    """Refuse charges and multiplicities that a molecule cannot have.

    Args:
        protons: of the molecule.
        charge, spin: (m,) of its frames.
        where: says where one of them is.

    Raises:
        UserError: one line with the place and what is meant.
    """
    electrons = protons - charge
    for row in np.flatnonzero(electrons < 0)[:1]:
        raise UserError(
            f"{where(int(row))}: a charge of {charge[row]:+d} is more than the nuclei have; give "
            "the total charge in units of e"
        )
    for row in np.flatnonzero(impossible_spins(electrons, spin))[:1]:
        raise UserError(
            f"{where(int(row))}: {electrons[row]} electrons (charge {charge[row]}) have no spin "
            f"multiplicity of {spin[row]}; give the charge in units of e and the multiplicity "
            "2S + 1: odd where the number of electrons is even"
        )


def _whole(key: str, array: Any, quantity: str, where: Callable[[int], str]) -> IntArray:
    try:
        numbers = array.astype(np.float64)
        wrong = ~(np.abs(numbers) < 1000) | (numbers != np.round(numbers))
    except (ValueError, TypeError):
        numbers, wrong = np.zeros(len(array)), np.ones(len(array), dtype=bool)
    if quantity == "spin":
        wrong = wrong | (numbers < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        meant = {
            "charge": "the total charge in units of e, a whole number",
            "spin": "the multiplicity 2S + 1: 1 for a singlet, 2 for a doublet",
        }
        raise UserError(
            f"{where(row)}: '{key}' is {shown(str(array[row]))}, but has to be {meant[quantity]}"
        )
    return numbers.astype(np.int64)
