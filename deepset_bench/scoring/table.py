"""The table of metrics, read off their files: names, units, digits, and where result.json has them.

Training, evaluation and tables ask here. A metric of the product is a function in a file of this
folder, one of a person's own a function in a file that is named with `--variants`; see
`deepset_bench.variants.metric`.
"""

from __future__ import annotations

import math
import numbers
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepset_bench import registry
from deepset_bench.definition import Variant
from deepset_bench.errors import UserError
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.units import UNITS

Value = float | dict[str, float | None] | None
"""A number, those of a family by name, or None: nothing to measure."""

USUAL = ("energy_mae", "forces_mae")
"""What tables show unless they are asked for something else."""
_COLUMNS = dict(zip(USUAL, ("energy", "forces"), strict=True))
_QUANTITY = {"eV": "energy", "eV/angstrom": "forces"}
_TRIVIAL = {"energy": "mean energy", "forces": "zero force", "stress": "zero stress"}
"""How the name of a metric begins -> what its trivial baseline predicts."""
TRIVIAL = f"{_TRIVIAL['energy']}, {_TRIVIAL['forces']}"
"""What the trivial baseline of energies and forces predicts."""
_WORDS = {"mae": "MAE", "rmse": "RMSE", "p95": "95th percentile", "md": "MD", "nve": "NVE"}
_TAKEN = (
    *("frames", "frames_scored", "molecules", "environments", "energy_offset_ev"),
    *("status", "reason", "metrics", "metric_sources", "best_epoch", "baselines", "data_sha256"),
    *("label_floor_ev_per_angstrom", "data_verdict", "width", "epochs", "wall_seconds", "stack"),
    *("device", "threads", "computed", "machine", "versions", "run", "variant", "measured_on"),
    *("frame_errors", "registered", "started"),
)
"""Keys of result.json beside metrics."""


@dataclass(frozen=True)
class Metric:
    """A metric, as its decorator has it."""

    variant: Variant

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.variant.name

    @property
    def of_run(self) -> bool:
        """Whether it is measured once a run, and not on each part of the frames."""
        return self.variant.traits["of"] not in ("frames", "stress")

    @property
    def on_demand(self) -> bool:
        """Whether it is measured of a trained potential, and only when it is asked for by name."""
        return bool(self.variant.traits["of"] == "potential")

    @property
    def of_stress(self) -> bool:
        """Whether it is measured only where frames are labelled with stress."""
        return bool(self.variant.traits["of"] == "stress")

    @property
    def less_is_better(self) -> bool:
        """Which way is better."""
        return bool(self.variant.traits["less_is_better"])

    @property
    def remark(self) -> str:
        """What stands behind its name where the usual way is not the better one."""
        return "" if self.less_is_better else " (more is better)"

    @property
    def key(self) -> str:
        """In result.json: its name and its unit, as in `forces_mae_ev_per_angstrom`."""
        unit = self.variant.traits["unit"].lower().replace("/", "_per_")
        return "_".join(part for part in (self.name, re.sub(r"\W+", "_", unit).strip("_")) if part)

    @property
    def column(self) -> str:
        """How the columns of frames and CSV begin that are of it."""
        return _COLUMNS.get(self.name, self.name)

    @property
    def words(self) -> str:
        """Its name for people."""
        return " ".join(_WORDS.get(word, word) for word in self.name.split("_"))

    @property
    def statistic(self) -> str:
        """The name without the quantity, where that is the energy or the forces."""
        return self.words.removeprefix("energy ").removeprefix("forces ")

    @property
    def trivial(self) -> str:
        """What its trivial baseline predicts, in words; empty where it has none."""
        if self.of_run:
            return ""
        return _TRIVIAL.get(self.name.split("_")[0], TRIVIAL)

    def shown(self, system: str) -> tuple[float, str, int]:
        """Size of the unit to show it in, its name and decimals.

        Args:
            system: of UNITS.
        """
        unit, digits = self.variant.traits["unit"], self.variant.traits["digits"]
        if digits is None and unit in _QUANTITY:
            return UNITS[system][_QUANTITY[unit]]
        return 1.0, unit, 2 if digits is None else digits

    def __call__(self, predictions: Predictions, labels: Labels, run: ScoredRun) -> Value:
        """Measure.

        Raises:
            UserError: a metric of another's fails, or returns something else than numbers.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of means of nothing
            found = self.variant.apply(predictions, labels, run)
        if isinstance(found, Mapping):
            return {str(name): self._number(value) for name, value in found.items()}
        return self._number(found)

    def _number(self, found: Any) -> float | None:
        if isinstance(found, np.ndarray) and found.ndim == 0:
            found = found.item()
        if not isinstance(found, numbers.Real) or isinstance(found, bool):
            what = type(found).__name__
            raise UserError(f"{self.variant.file}: {self.variant} returns {what}, not a number")
        if isinstance(found, numbers.Integral):
            return int(found)
        return float(found) if math.isfinite(found) else None


def with_unit(words: str, unit: str) -> str:
    """A heading of numbers: `energy / eV`, `forces / (eV/angstrom)`."""
    return f"{words} / {f'({unit})' if '/' in unit else unit}" if unit else words


def metrics() -> list[Metric]:
    """Every metric there is, the product's own first.

    Raises:
        UserError: two that would be one in result.json or in tables.
    """
    found = [Metric(one) for one in registry.variants().values() if one.kind == "metric"]
    taken: dict[str, str] = dict.fromkeys(_TAKEN, "something else")
    for one in found:
        for word in {one.key, one.column}:
            if word in taken:
                raise UserError(
                    f"{one.variant.file}: metric {one.name} would be {word} in result.json and "
                    f"tables, which is {taken[word]}; take another name"
                )
            taken[word] = f"metric {one.name}"
    return found


def chosen(names: Iterable[str]) -> list[Metric]:
    """The metrics of these names, each once; one text may hold several, with commas between.

    Raises:
        UserError: there is none of a name.
    """
    known = {one.name: one for one in metrics()}
    words = [word for text in names for word in text.split(",") if word]
    return [known[registry.find("metric", word).name] for word in dict.fromkeys(words)]
