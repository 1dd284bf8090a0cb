"""The figures of a study: what its figures.yaml lists, else what suits its sheets and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deepset_bench.errors import UserError, nearest
from deepset_bench.figures import entries
from deepset_bench.figures.asked import Asked, Entry
from deepset_bench.figures.defaults import default
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.figure_kinds import KINDS
from deepset_bench.files import resource
from deepset_bench.study.collect import Where
from deepset_bench.study.comparisons import Comparison, family

CONDITIONS = ("report", "corrected")
_REPORT = "badland_2025"
_WORDS = {"report": "as in the report", "corrected": "corrected"}


@dataclass(frozen=True)
class Offer:
    """What figures of a study are made of.

    Attributes:
        sheets: by name; the first is meant where a figure names none.
        listed: the figures; None for what suits sheets and data.
        words: condition -> what panels and captions call it; empty where the study has none.
    """

    sheets: Mapping[str, Comparison]
    listed: Sequence[Entry] | None = None
    words: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, sheets: Sequence[Comparison], words: Mapping[str, str]) -> Offer:
        """Of a study's folder, whose figures.yaml need not be there.

        Raises:
            UserError: see `entries.read`.
        """
        path = folder / entries.FILE
        listed = entries.read(path) if path.exists() else None
        return cls({sheet.name: sheet for sheet in sheets}, listed, words)


def report() -> Offer:
    """Of the report, as shipped."""
    return Offer.read(resource("sweeps") / _REPORT, family(""), _WORDS)


def build(
    offer: Offer,
    where: Where,
    conditions: Sequence[str] = CONDITIONS,
    unit: str = "hartree",
    names: Sequence[str] = (),
) -> list[Figure]:
    """Figures from the run folders, ready to be drawn.

    Args:
        offer: of a study.
        where: which runs.
        conditions: that are shown.
        unit: `hartree` or `mev`.
        names: of those to make, for `figure_7` 7 will do; none: all.

    Returns:
        One for each; `draw` is None where no run is there to draw.

    Raises:
        UserError: an unknown name, a key that the study does not have, an override that does not
            compose, an unreadable run.
    """
    listed = offer.listed
    if listed is None:
        listed = default(offer.sheets, where, conditions, bool(offer.words))
    there = {entry.name: entry for entry in listed}
    chosen = [there[_full(name, there)] for name in names] if names else listed
    return [
        KINDS[entry.kind](
            Asked(entry, offer.sheets, where, conditions, unit, offer.words), **entry.keys
        )
        for entry in chosen
    ]


def _full(name: str, there: Mapping[str, Entry]) -> str:
    full = f"figure_{name}" if name.isdecimal() else name
    if full not in there:
        raise UserError(f"unknown figure '{name}'; {nearest(full, there)}")
    return full
