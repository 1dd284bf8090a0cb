"""What decides generated trajectories; light, because the command line reads defaults here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from deepset_bench.errors import UserError, nearest
from deepset_bench.surroundings import of_file

# Each kind of sampling, with the fields of the recipe that it alone reads.
SAMPLING: dict[str, tuple[str, ...]] = {
    "md": (),
    "metadynamics": ("torsions", "tie", "hill_height", "hill_width", "hill_interval"),
    "umbrella": ("torsions", "tie", "window_strength", "windows"),
}

Chain = tuple[int, int, int, int]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a generated trajectory: the same recipe makes the same bytes.

    The defaults of the metadynamics make biased labels that are to the potential's forces what
    those of the report's trajectories are: about twice as large on average, and so rough along
    the torsion and over time that a geometry does not determine them.

    Attributes:
        smiles: the molecule.
        frames: frames to record, the starting geometry first.
        sampling: `md`, `metadynamics` or `umbrella`.
        method: `gfn1` or `gfn2`.
        electronic_temperature: of the xTB electrons in kelvin. Closed-shell GFN1 has a cusp where
            a double bond is twisted by 90 degrees; thousands of kelvin smooth it.
        temperature: of the thermostat in kelvin.
        friction: of the thermostat in 1/fs. High, to carry off the heat that hills bring.
        timestep: in fs.
        interval: fs between recorded frames.
        seed: of the embedding, the velocities and the thermostat.
        torsions: the chains i, j, k, l to drive together, atoms from 0 in SMILES order; by default
            the heaviest substituents of the only C=C bond.
        tie: spring between the torsions across a driven C=C bond, in eV/rad^2.
        hill_height: in eV.
        hill_width: standard deviation of a hill in degrees.
        hill_interval: fs between hills.
        window_strength: of the umbrella windows in eV/rad^2.
        windows: number of them for each torsion, in equal steps: across a C=C bond from one planar
            form to the other, elsewhere once around.

    Raises:
        UserError: an unknown sampling, torsions that it would not drive, or a value out of range.
    """

    smiles: str
    frames: int
    sampling: str = "metadynamics"
    method: str = "gfn1"
    electronic_temperature: float = 5000.0
    temperature: float = 300.0
    friction: float = 0.1
    timestep: float = 0.5
    interval: float = 20.0
    seed: int = 0
    torsions: tuple[Chain, ...] = ()
    tie: float = 10.0
    hill_height: float = 1.0
    hill_width: float = 2.5
    hill_interval: float = 20.0
    window_strength: float = 15.0
    windows: int = 37

    def __post_init__(self) -> None:
        if self.sampling not in SAMPLING:
            raise UserError(
                f"unknown sampling {self.sampling!r}; {nearest(self.sampling, SAMPLING)}"
            )
        if self.torsions and "torsions" not in SAMPLING[self.sampling]:
            raise UserError(f"sampling {self.sampling} drives no torsion; leave out --torsion")
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.type == "float"}
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise UserError(f"{name} must be a finite number, not {value}")
        positive = ("frames", "timestep", "interval", "hill_width", "hill_interval")
        for name in positive:
            if getattr(self, name) <= 0:
                raise UserError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.windows < 2:
            raise UserError(f"windows must be at least 2, not {self.windows}")
        if self.seed >= 2**31:
            raise UserError(f"seed must be below {2**31}, not {self.seed}")
        kelvins, springs = ("temperature", "electronic_temperature"), ("tie", "window_strength")
        for name in (*kelvins, *springs, "hill_height", "friction", "seed"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("interval", "hill_interval"):
            if not math.isclose(self.steps(name) * self.timestep, getattr(self, name)):
                raise UserError(
                    f"{name} of {getattr(self, name)} fs is not a multiple of the timestep, "
                    f"{self.timestep} fs"
                )

    @staticmethod
    def parse_torsion(text: str) -> Chain:
        """`I-J-K-L` as four atoms.

        Raises:
            UserError: not four numbers.
        """
        try:
            i, j, k, l = (int(word) for word in text.split("-"))  # noqa: E741
        except ValueError:
            raise UserError(f"torsion {text!r} is not four atoms such as 0-1-2-3") from None
        return i, j, k, l

    def steps(self, name: str) -> int:
        """Molecular-dynamics steps in the named interval."""
        return max(1, round(getattr(self, name) / self.timestep))

    def options(self) -> dict[str, object]:
        """The fields that this kind of sampling reads, in order."""
        unread = {name for names in SAMPLING.values() for name in names}
        unread -= set(SAMPLING[self.sampling])
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in unread}


def molecules(name: str, smiles: Sequence[str]) -> dict[str, str]:
    """SMILES by the name of the molecule, in order.

    Args:
        name: what a single molecule without a name of its own is called.
        smiles: each a SMILES string, a name after a blank if wanted, or a file that ends in .smi
            with one of these a line. Of several molecules, one without a name is called like its
            SMILES.

    Raises:
        UserError: a file that cannot be read, nothing given, or a name that occurs twice.
    """
    lines: list[str] = []
    for text in smiles:
        lines += _lines(Path(text)) if text.endswith(".smi") else [text]
    named: dict[str, str] = {}
    for line in lines:
        structure, _, given = " ".join(line.split()).partition(" ")
        molecule = given or (structure if len(lines) > 1 else name)
        if molecule in named:
            raise UserError(
                f"two molecules are called {molecule!r}; give them names, as in "
                f"--smiles '{structure} NAME'"
            )
        named[molecule] = structure
    if not named:
        raise UserError("no molecule: give --smiles a SMILES string, or a .smi file with some")
    return named


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({of_file(path, error)})") from None
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
