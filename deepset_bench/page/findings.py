"""What the runs say, in the order a reader needs it: sentences, every number computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from deepset_bench.study.published import METRICS
from deepset_bench.study.tables import Table
from deepset_bench.study.verdict import HOLDS, REVERSED, SMALLER, UNDECIDED
from deepset_bench.units import UNITS

_FEW = 4
"""Variants below which a ranking says nothing."""
_HOW = {"report": "Trained as the report did", "corrected": "Corrected"}
_AMONG = {"report": "the report", "corrected": "the corrected condition"}


@dataclass(frozen=True)
class Said:
    """A heading, what the numbers are, and where they are from: a sweep or a section."""

    heading: str
    text: str
    source: str


def findings(report: Table, claims: pd.DataFrame, unit: str) -> list[Said]:
    """Everything that the runs there are allow to be said.

    Args:
        report: the table of all of the report's runs.
        claims: `claims.claims`.
        unit: `hartree` or `mev`.
    """
    frame = report.frame[report.frame.part == "mean"]
    by_condition = {c: frame[frame.condition == c] for c in report.conditions}
    said = [_floor(by_condition, unit), _trivial(report), _corrected(by_condition, unit)]
    said += [_ranking(by_condition), _claims(claims), _seeds(by_condition)]
    return [one for one in said if one is not None]


def _floor(frames: dict[str, pd.DataFrame], unit: str) -> Said | None:
    """The labels' own error, where they have one."""
    size, name, digits = UNITS[unit]["forces"]
    for condition, frame in frames.items():
        floor, trivial = (frame[frame.kind == kind].forces_mean for kind in ("floor", "trivial"))
        ours = _done(frame).forces_mean
        if len(floor) and floor.item() > 0:
            low, high = (f"{value / size:.{digits}f}" for value in (ours.min(), ours.max()))
            return Said(
                "The force labels themselves are wrong",
                f"Against the labels of {_AMONG[condition]} the true forces, those of a perfect "
                f"potential, have an error of {floor.item() / size:.{digits}f} {name}: "
                f"{_percent(floor.item() / trivial.item())} of what predicting zero force has. "
                f"What was trained on these labels scores {low} to {high} {name}.",
                "table_1",
            )
    return None


def _trivial(report: Table) -> Said | None:
    """Errors as fractions of what knowing nothing scores on the same frames."""
    sentences = []
    for condition in report.conditions:
        runs = report.runs[(report.runs.state == "done") & (report.runs.condition == condition)]
        if runs.empty:
            continue
        energy, forces = (
            _span((runs[f"{m}_mean"] / runs[f"trivial_{m}_mean"]).groupby(runs.label).mean())
            for m in METRICS
        )
        sentences.append(
            f"{_HOW[condition]}, {_many(runs.label.nunique(), 'variant')} of "
            f"{len(report.sweep.runs)} reach {energy} of the error of predicting the mean energy, "
            f"and {forces} of that of predicting zero force."
        )
    if not sentences:
        return None
    return Said("How far from knowing nothing", " ".join(sentences), "tables")


def _corrected(frames: dict[str, pd.DataFrame], unit: str) -> Said | None:
    """The same network without and with the report's flaws."""
    both = [_done(frames[name]) for name in ("report", "corrected") if name in frames]
    if len(both) < 2:
        return None
    pair = both[0].merge(both[1], on="row", suffixes=("_report", "_corrected"))
    pair = pair[pair.row == "No scalars"]
    if pair.empty:
        return None
    parts = []
    for metric, what in zip(METRICS, ("energy", "force"), strict=True):
        size, name, digits = UNITS[unit][metric]
        before, after = (pair[f"{metric}_mean_{c}"].item() for c in ("report", "corrected"))
        parts.append(
            f"{what} error of {after / size:.{digits}f} instead of {before / size:.{digits}f} "
            f"{name} ({before / after:.0f} times smaller)"
        )
    return Said(
        "The same network on sound labels",
        f"Corrected, the variant without scalars and graph layer has an {' and a '.join(parts)}. "
        "Parameters, frames and number of epochs are the same; labels, units, energy reference, "
        "envelope at the cutoff, loss, learning rate, clipping and batch size are not.",
        "table_1",
    )


def _ranking(frames: dict[str, pd.DataFrame]) -> Said | None:
    """Whether variants come in the order that the report prints."""
    sentences = []
    for condition, frame in frames.items():
        ours = _done(frame).dropna(subset=["energy_printed"])
        if len(ours) < _FEW:
            continue
        found = stats.kendalltau(ours.energy_printed, ours.energy_mean)
        sentences.append(
            f"{_HOW[condition]}, {len(ours)} variants rank by their energy error like the printed "
            f"ones with Kendall's τ = {found.statistic:+.2f} (p = {found.pvalue:.2f})."
        )
    if not sentences:
        return None
    text = " ".join(sentences).replace("= -", "= −")
    return Said(
        "Does the report's ranking come back?",
        f"{text} τ is 1 for the same order, −1 for the reverse, and 0 for none; p is the "
        "probability of one as far from 0 if the orders had nothing to do with each other.",
        "tables",
    )


def _claims(claims: pd.DataFrame) -> Said:
    """How many of the report's claims hold."""
    sentences = []
    for condition, group in claims.groupby("condition", sort=False):
        counts = group.verdict.value_counts()
        words = [f"{counts[v]} {v}" for v in (HOLDS, SMALLER, REVERSED, UNDECIDED) if v in counts]
        sentences.append(f"{_HOW[str(condition)]}: {', '.join(words)}.")
    number = claims.claim.nunique()
    return Said(f"The report's {number} claims", " ".join(sentences), "claims")


def _seeds(frames: dict[str, pd.DataFrame]) -> Said | None:
    """How much is measured, and how much of it is more than chance."""
    sentences = []
    for condition, frame in frames.items():
        ours = _done(frame)
        if ours.empty:
            continue
        counts = sorted(set(ours.n))
        several = ours[ours.energy_difference_half.notna()]
        away = (several.energy_difference.abs() > several.energy_difference_half).sum()
        text = f"{_HOW[condition]}, variants have {_range(counts)} here"
        if several.empty:
            sentences.append(f"{text}: no difference can be told from chance yet.")
        else:
            sentences.append(
                f"{text}; of {_many(len(several), 'difference')} in energy to "
                f"the variant without scalars, {away} "
                f"{'has' if away == 1 else 'have'} an interval that excludes zero."
            )
    if not sentences:
        return None
    heading = "The report trained each variant once; one seed has no interval"
    return Said(heading, " ".join(sentences), "runs")


def _done(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame.kind == "run") & (frame.n > 0)]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %" if fraction < 0.1 else f"{100 * fraction:.0f} %"


def _span(fractions: pd.Series) -> str:
    low, high = _percent(fractions.min()), _percent(fractions.max())
    return low if low == high else f"{low.removesuffix(' %')} to {high}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _range(counts: Sequence[int]) -> str:
    if counts[0] == counts[-1]:
        return _many(int(counts[0]), "seed")
    return f"{counts[0]} to {counts[-1]} seeds"
