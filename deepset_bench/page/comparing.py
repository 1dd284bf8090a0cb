"""What a table says, as the words of a study's page may ask for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from deepset_bench.study.blocks import factors_of
from deepset_bench.study.draws import independent
from deepset_bench.study.effect import change_text, effect, percent
from deepset_bench.study.published import METRICS
from deepset_bench.study.sections import PART_WORDS
from deepset_bench.study.shared import SEVERAL, shared
from deepset_bench.study.statistics import estimate
from deepset_bench.study.tables import Table, by_seed

_FEW = 4
"""Variants below which a ranking says nothing."""


class Facts:
    """What a table says, as a template may ask for it; None where no run says it.

    Rows are compared over the seeds that they share, and only those of several seeds: one seed has
    no scatter, and supports no sentence. Errors are of the frames that the table shows.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def _column(self, metric: str) -> str:
        return f"{metric}_{self._table.part}"

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return self._table.frame[self._table.frame.part == self._table.part]

    @property
    def _has_energy(self) -> bool:
        """Whether the table shows the energy error: the metrics of a study may leave it out."""
        return any(column.name == "energy" for column in self._table.columns)

    def _done(self, condition: str) -> pd.DataFrame:
        frame = self._frame
        return frame[(frame.condition == condition) & (frame.kind == "run") & (frame.n > 0)]

    def _compared(self, condition: str) -> pd.DataFrame:
        """Runs of all rows that can be compared."""
        runs = self._table.runs
        return shared(runs[runs.condition == condition], SEVERAL)

    def _who(self, runs: pd.DataFrame) -> dict[str, str]:
        rows, of = runs.label.nunique(), len(self._table.sweep.runs)
        seeds = many(runs.replicate.nunique(), "seed")
        on = PART_WORDS[self._table.part]
        return {"who": f"{rows} of {many(of, 'variant')}, {seeds} each, on {on}"}

    def floor(self, condition: str) -> dict[str, Any] | None:
        """The labels' own force error, where they have one, and the errors of the variants.

        Returns:
            `error`, `least` and `most` in eV/angstrom; `of_trivial`, of what zero force scores;
            `who`, in words.
        """
        runs = self._compared(condition)
        same = runs[runs.label == self._table.sweep.baseline]
        error = same.floor.mean()
        if same.empty or not error > 0:
            return None
        errors = runs.groupby("label")[self._column("forces")].mean()
        return {
            "error": float(error),
            "of_trivial": float(error / same[self._column("trivial_forces")].mean()),
            "least": float(errors.min()),
            "most": float(errors.max()),
            **self._who(runs),
        }

    def of_trivial(self, condition: str) -> dict[str, Any] | None:
        """Errors as shares of the trivial baseline's on the same frames.

        Returns:
            `who`, in words; `energy` and `forces`, as in `12 to 30 %`; `worse`, how many variants
            have an energy error that is no smaller than the trivial one. None where runs lack
            either, as where absolute energies are undetermined.
        """
        runs = self._compared(condition)
        if runs.empty:
            return None
        shares = {
            m: (runs[self._column(m)] / runs[self._column(f"trivial_{m}")])
            .groupby(runs.label)
            .mean()
            for m in METRICS
        }
        if any(share.isna().any() for share in shares.values()):
            return None
        worse = int((shares["energy"] >= 1).sum())
        return {**self._who(runs), "worse": worse, **{m: _span(s) for m, s in shares.items()}}

    def rows(self) -> dict[str, Any] | None:
        """The rows of a comparison that has one condition of its own, the baseline among them.

        Returns:
            `who`, in words; `rows` with a `label` each, `energy` and `forces` in eV and
            eV/angstrom, `of_energy` and `of_forces`, of what the trivial prediction scores, and
            `energy_change` and `forces_change` against the baseline, in words with the interval;
            empty for the baseline itself, and where an error is zero. Numbers are None where runs
            have none, as where absolute energies are undetermined.
        """
        runs, baseline = self._compared(self._table.conditions[0]), self._table.sweep.baseline
        if runs.label.nunique() < SEVERAL or baseline not in set(runs.label):
            return None
        means = runs.groupby("label", sort=False).mean(numeric_only=True)
        rows = [
            {"label": label}
            | {m: _known(row[self._column(m)]) for m in METRICS}
            | {
                f"of_{m}": _known(row[self._column(m)] / row[self._column(f"trivial_{m}")])
                for m in METRICS
            }
            | {f"{m}_change": self._change(runs, str(label), baseline, m) for m in METRICS}
            for label, row in means.iterrows()
        ]
        return {**self._who(runs), "rows": rows}

    def _change(self, runs: pd.DataFrame, label: str, baseline: str, metric: str) -> str:
        if label == baseline:
            return ""
        column = self._column(metric)
        values = (by_seed(runs[runs.label == one], column) for one in (label, baseline))
        found = effect(label, *values)
        return change_text(found.change(), relative=True) if found.n and found.relative else ""

    def factors(self) -> dict[str, Any] | None:
        """What each factor changes, where the rows are every combination of several axes.

        Returns:
            `who`, in words; `factors` with a `name` each, as in `KEY: FIRST → OTHER`, and what it
            changes of `energy` and `forces` over all combinations of the others, in words with the
            interval. How two factors act on each other is not among them.
        """
        runs, sweep = self._compared(self._table.conditions[0]), self._table.sweep
        changes: dict[str, dict[str, str]] = {}
        for metric in METRICS:
            for one in factors_of(sweep, runs, self._column(metric)):
                if not one.joint:
                    text = change_text(one.effect.change(), relative=True)
                    changes.setdefault(one.name, {})[metric] = text
        known = [
            {"name": name, **each} for name, each in changes.items() if len(each) == len(METRICS)
        ]
        return {**self._who(runs), "factors": known} if known else None

    def between(self, row: str, one: str, other: str, metric: str) -> dict[str, Any] | None:
        """The error of a row under one condition and under another, over shared seeds.

        Returns:
            `before` and `after` in eV or eV/angstrom; `times` smaller, the mean of log ratios with
            its 95 % t-interval; `seeds`, in words, or splits where several runs are of one.
        """
        runs = self._table.runs
        runs = runs[(runs.label == row) & (runs.state == "done")]
        column = self._column(metric)
        pair = [by_seed(runs[runs.condition == name], column) for name in (one, other)]
        both = pair[0].keys() & pair[1].keys()
        found = effect(row, *pair)
        if found.n < SEVERAL or not found.relative:
            return None
        before, after = (
            estimate(independent({seed: values[seed] for seed in both})).mean for values in pair
        )
        change = found.change()
        mean, low, high = (_times(1 + one) for one in (change.mean, change.low, change.high))
        what = "seed" if found.n == len(both) else "split"
        return {
            "before": before,
            "after": after,
            "times": f"{mean} [{low}, {high}]",
            "seeds": many(found.n, what),
        }

    def ranking(self, condition: str) -> dict[str, Any] | None:
        """Whether variants come in the order of their printed energy errors: Kendall's tau.

        Beside it what can be expected: the same between every two seeds of ours.

        Returns:
            `who`, in words; `tau` and its `p`; `own`, between seeds.
        """
        if not self._has_energy:
            return None
        printed = self._done(condition).set_index("row").energy_printed.dropna()
        runs = self._compared(condition)
        errors = runs.pivot_table(index="label", columns="replicate", values=self._column("energy"))
        errors = errors[errors.index.isin(printed.index)]
        if len(errors) < _FEW:
            return None
        found = stats.kendalltau(printed[errors.index], errors.mean(axis=1))
        pairs = combinations(errors.columns, 2)
        own = np.mean([stats.kendalltau(errors[a], errors[b]).statistic for a, b in pairs])
        return {
            **self._who(runs[runs.label.isin(errors.index)]),
            "tau": _signed(found.statistic),
            "p": f"{found.pvalue:.2f}",
            "own": _signed(own),
        }

    def seeds(self, condition: str) -> dict[str, Any] | None:
        """How much is measured: `seeds` in words, `differences` with an interval, those `apart`.

        Differences are of energy errors.
        """
        ours = self._done(condition)
        if ours.empty or not self._has_energy:
            return None
        several = ours[ours.energy_p.notna()]
        apart = several.energy_sure.sum()
        counts = sorted(set(ours.n))
        return {"seeds": _range(counts), "differences": len(several), "apart": int(apart)}


def _known(number: float) -> float | None:
    return None if math.isnan(number) else float(number)


def _times(ratio: float) -> str:
    """`1.3`, `23`: two digits, and no fewer than there are in front of the point."""
    return f"{ratio:.2g}" if ratio < 10 else f"{ratio:,.0f}"


def _signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", "−")


def _span(fractions: pd.Series) -> str:
    low, high = percent(fractions.min()), percent(fractions.max())
    return low if low == high else f"{low.removesuffix(' %')} to {high}"


def many(number: int, what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _range(counts: Sequence[int]) -> str:
    if counts[0] == counts[-1]:
        return many(int(counts[0]), "seed")
    return f"{counts[0]} to {counts[-1]} seeds"
