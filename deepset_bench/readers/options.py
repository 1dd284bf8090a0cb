"""What the command line says about files, and what comes back from reading one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.readers.lattices import known_stress_unit
from deepset_bench.units import VALID_UNITS, known_unit


@dataclass(frozen=True)
class Options:
    """How to read files; None is what a file or its format says.

    Attributes:
        frames: `A-B` of each file or set, counted from 1 with both ends in; None for all.
        energy_key, forces_key: where the labels are.
        energy_unit, length_unit, force_unit: see `Units`; a file's own statement counts less.
        stress_unit: a key of `lattices.STRESS`; likewise.
        gradients: what is stored as forces are gradients of the energy, of the other sign.
        charge: total charge in e of frames that state none; of those that do, only the ones of
            this charge are taken.
        spin: the same of the multiplicity 2S + 1.
        skip_incomplete: leave out frames without labels, or with a number that is not finite.
        elements: `LABEL=ELEMENT,...` for labels of atoms that are no chemical symbols.
        formula: of HDF5 files only these, as C4H8,C5H10.
        energies_only: take frames that have an energy alone, too; their forces are NaN.
        states: of `charge` and `spin` what the files are known to state; frames without it are of
            the lowest. No option: readers find it out.

    Raises:
        UserError: an unknown unit.
    """

    frames: str | None = None
    energy_key: str | None = None
    forces_key: str | None = None
    energy_unit: str | None = None
    length_unit: str | None = None
    force_unit: str | None = None
    stress_unit: str | None = None
    gradients: bool = False
    charge: int | None = None
    spin: int | None = None
    skip_incomplete: bool = False
    elements: str | None = None
    formula: str | None = None
    energies_only: bool = False
    states: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for quantity in VALID_UNITS:
            unit = getattr(self, f"{quantity}_unit")
            if unit is not None:
                known_unit(quantity, unit)
        if self.stress_unit is not None:
            known_stress_unit(self.stress_unit)

    @property
    def given(self) -> dict[str, Any]:
        """Those that say something."""
        options = asdict(self)
        del options["states"]
        return {
            k: value for k, value in options.items() if value is not None and value is not False
        }

    @property
    def words(self) -> list[str]:
        """The same as options of the command line."""
        return [word for key, value in self.given.items() for word in _words(key, value)]


def _words(key: str, value: Any) -> list[str]:
    option = f"--{key.replace('_', '-')}"
    return [option] if value is True else [option, str(value)]


@dataclass(frozen=True, eq=False)
class Reading:
    """Frames of one file, and what is to be known about how they were read.

    Attributes:
        frames: in eV, angstrom and eV/angstrom.
        notes: `units` by quantity, as `kcal/mol (assumed)`; `left_out`, a list of
            `40 of 120 frames have no labels`; `states`, which of charge and spin the file states;
            for datasheets and the line after an import.
    """

    frames: Frames
    notes: dict[str, Any]


class StatedLaterError(UserError):
    """A frame states a charge or spin that frames before it, taken as was asked, do not.

    The file is to be read again with the quantity among `Options.states`.
    """

    def __init__(self, quantity: str) -> None:
        super().__init__(
            f"only some frames state a {quantity}, the first of them after others that do not; "
            f"leave --{quantity} out, or write it for all"
        )
        self.quantity = quantity
