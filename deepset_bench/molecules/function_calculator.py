"""Any function of positions as an ASE calculator, so that ASE can move what it describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ase.calculators.calculator import Calculator, all_changes

from deepset_bench.molecules.frames import FloatArray


class FunctionCalculator(Calculator):
    """Calls a function wherever atoms have moved.

    Args:
        function: (A, 3) positions in angstrom -> energy in eV, (A, 3) forces in eV/angstrom.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 - ASE's own declaration

    def __init__(self, function: Callable[[FloatArray], tuple[float, FloatArray]]) -> None:
        super().__init__()
        self._function = function

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """ASE calls this where something changed."""
        super().calculate(atoms, properties, system_changes)
        energy, forces = self._function(atoms.positions)
        self.results = {"energy": energy, "forces": forces}
