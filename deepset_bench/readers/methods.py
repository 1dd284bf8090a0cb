"""Whether an energy and forces are of one method, as far as their names in a file tell."""

from __future__ import annotations

import re
from collections.abc import Iterable

from deepset_bench.errors import UserError
from deepset_bench.readers.options import Options

GRADIENTS = ("gradients", "gradient", "grad")
"""What files call forces of the other sign."""
_WORDS = {
    "energy": ("energy", "energies", "e"),
    "forces": ("forces", "force", "f", *GRADIENTS),
    "": ("total", "tot", "potential", "pot", "free"),
}


def check_methods(
    where: str, keys: tuple[str, str], names: Iterable[str], options: Options
) -> None:
    """Refuse the energy of one method with the forces of another, as their names tell.

    Args:
        where: for the message.
        keys: of energy and forces.
        names: of everything that is stored.
        options: which of the two were asked for by name.

    Raises:
        UserError: says what belongs to which.
    """
    energy, forces = (_method(key) for key in keys)
    named = options.energy_key is not None and options.forces_key is not None
    if energy == forces or (named and not (energy and forces)):
        return
    partners = {_method(name) for name in names if _kind(name) == "energy"} & {forces}
    partners |= {_method(name) for name in names if _kind(name) == "forces"} & {energy}
    if partners or (energy and forces and not named):
        raise UserError(
            f"{where}: '{keys[0]}' and '{keys[1]}' are of two methods, as their names say; take "
            "energy and forces of one, with --energy-key and --forces-key, or compute both with "
            "--relabel gfn1"
        )


def _kind(key: str) -> str:
    words = _split(key)
    return next((kind for kind, known in _WORDS.items() if words & set(known)), "")


def _method(key: str) -> frozenset[str]:
    """What is left of a name as `ccsd(t)_cbs.energy` without the words for what it is."""
    return frozenset(_split(key) - {word for known in _WORDS.values() for word in known})


def _split(key: str) -> set[str]:
    return set(re.findall(r"[a-z0-9()+*]+", key.lower()))
