"""Which element an atom's label means: `C`, `cl`, `6`, `D`, and kinds of atoms as `C1` or `C_a`."""

from __future__ import annotations

import re
from functools import lru_cache

from ase.data import atomic_names, atomic_numbers, chemical_symbols

from deepset_bench.errors import UserError
from deepset_bench.readers.xyz import shown

_SYMBOLS = {symbol: number for symbol, number in atomic_numbers.items() if number > 0}
_SYMBOLS |= {"D": 1, "T": 1}  # deuterium and tritium: their forces are hydrogen's
_NAMES = {name.lower(): number for number, name in enumerate(atomic_names) if number > 0}
# Kinds without a digit or a sign behind the element, as OW or HN, are of these.
_KINDS = ("H", "C", "N", "O", "F", "P", "S")
# Two capitals that nobody writes for a kind of C, B or S.
_CAPITALS = ("CL", "BR", "SI")
GHOST = "is a ghost or dummy atom, not a real one; leave its line out of the file"
_LONGEST = 60
# Basis functions without a nucleus (ORCA's `H:`, Q-Chem's `@H`, Gaussian's `H-Bq`, Psi4's `Gh(H)`)
# and points without either. To read them as atoms would be to invent some.
_GHOST = re.compile(
    r"(?:bq|gh|@).*|(?:x|xx|du|dummy|vac)(?:[^a-z].*)?|0+"
    r"|[a-z]{1,2}[0-9]*[:@].*|.*[^a-z](?:bq|gh|ghost|dummy)[^a-z]*",
    re.IGNORECASE,
)
_LABEL = re.compile(r"([A-Za-z]{1,20})([^A-Za-z].{0,40})?")


class LabelError(Exception):
    """A label that could be two elements or is no atom's; the message says which."""


@lru_cache(maxsize=10_000)
def element(label: str) -> int | None:
    """The atomic number that a label means, or None.

    A number is an atomic number. Letters are a symbol or a name, whatever their case, or begin with
    the symbol of the element that the label is a kind of.

    Raises:
        LabelError: `CA` may be calcium or a kind of carbon; `H:` and `Bq` are no atoms.
    """
    if len(label) <= _LONGEST and _GHOST.fullmatch(label):
        raise LabelError(f"'{shown(label)}' {GHOST}")
    if re.fullmatch(r"[0-9]{1,3}", label):
        return int(label) if 0 < int(label) < len(chemical_symbols) else None
    found = _LABEL.fullmatch(label)
    if found is None:
        return None
    letters = found[1]
    if letters in _SYMBOLS:
        return _SYMBOLS[letters]
    if letters.lower() in _NAMES:
        return _NAMES[letters.lower()]
    if len(letters) == 1 or letters.upper() in _CAPITALS:
        return _SYMBOLS.get(letters.capitalize())
    if len(letters) > 3:
        return None
    two, one = _SYMBOLS.get(letters[:2].capitalize()), _SYMBOLS.get(letters[0].upper())
    if two and one:
        first, second = chemical_symbols[two], chemical_symbols[one]
        raise LabelError(
            f"'{label}' may be {first}, or a kind of {second}; say which, as --elements "
            f"{label}={first} or {label}={second}"
        )
    if two and len(letters) == 2:
        return two
    return one if letters[0].upper() in _KINDS else None


def elements_table(option: str | None) -> dict[str, int]:
    """What `--elements LABEL=ELEMENT,...` says: label -> atomic number.

    Raises:
        UserError: something else, or an element that is none.
    """
    table: dict[str, int] = {}
    for pair in (option or "").replace(",", " ").split():
        label, equals, symbol = pair.partition("=")
        if not (label and equals) or symbol not in _SYMBOLS:
            raise UserError(
                f"--elements {option}: expected labels and their elements, as 1=C,2=O or CA=C"
            )
        table[label] = _SYMBOLS[symbol]
    return table
