"""The figures of a study: what its figures.yaml lists, else what suits its sheets and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deepset_bench.errors import UserError, nearest
from deepset_bench.figures import entries
from deepset_bench.figures.asked import Asked, Entry
from deepset_bench.figures.defaults import default
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.figure_kinds import KINDS
from deepset_bench.study.collect import Where
from deepset_bench.sweep import studies
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.studies import Study


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


def of_study(study: Study) -> Offer:
    """What a study lists; what suits the comparisons, where some of it were named or it has none.

    Raises:
        UserError: see `entries.read`.
    """
    if not study.whole:
        named = {sheet.name: sheet for sheet in study.shown}
        return Offer(named, None, study.conditions)
    path = study.file(entries.FILE)
    listed = entries.read(path) if path else None
    shown = {sheet.name: sheet for sheet in study.shown}
    return Offer(study.comparisons if listed else shown, listed, study.conditions)


def build(
    offer: Offer,
    where: Where,
    conditions: Sequence[str],
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
        raise UserError(
            f"unknown figure or study '{name}'; {nearest(full, {*there, *studies.names()})}"
        )
    return full
