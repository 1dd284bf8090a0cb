"""The words of a study's own page: its `findings.md.j2`, every number in it computed.

The template is the study's and is rendered in a sandbox: it can ask for what is named here and for
nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import StrictUndefined, Template, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment
from scipy import stats

from deepset_bench.errors import UserError, one_line
from deepset_bench.study.published import METRICS
from deepset_bench.study.tables import Table
from deepset_bench.study.verdict import HOLDS, REVERSED, SMALLER, UNDECIDED
from deepset_bench.sweep.studies import Study
from deepset_bench.units import UNITS

FILE = "findings.md.j2"
_FEW = 4
"""Variants below which a ranking says nothing."""
_HEADING = re.compile(r"^##\s+(?P<heading>.+?)(?:\s+\[(?P<source>[\w-]+)\])?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Said:
    """A heading, what the numbers are, and where they are from: a comparison or a section."""

    heading: str
    text: str
    source: str


def findings(
    study: Study, table: Callable[[str], Table], claims: pd.DataFrame, unit: str
) -> list[Said]:
    """What a study's template makes of its runs; nothing where it has none.

    Args:
        study: whose.
        table: name of a comparison -> its table.
        claims: `claims.claims`.
        unit: `hartree` or `mev`.

    Raises:
        UserError: the template does not render; the message has its line.
    """
    path = study.file(FILE)
    if path is None:
        return []

    def number(value: float, metric: str) -> str:
        size, _, digits = UNITS[unit][metric]
        return f"{value / size:.{digits}f}"

    def verdicts(condition: str) -> str:
        counts = claims[claims.condition == condition].verdict.value_counts()
        each = [f"{counts[v]} {v}" for v in (HOLDS, SMALLER, REVERSED, UNDECIDED) if v in counts]
        return ", ".join(each)

    names: Mapping[str, Any] = {
        "of": lambda name: Facts(table(study.comparison(name, str(path)).name)),
        "conditions": list(dict.fromkeys(claims.condition)) or list(study.conditions) or [""],
        "claims": claims.claim.nunique(),
        "verdicts": verdicts,
        "number": number,
        "amount": lambda value, metric: f"{number(value, metric)} {UNITS[unit][metric][1]}",
        "percent": _percent,
        "many": _many,
    }
    try:
        text = template(path).render(names)
    except TemplateSyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {one_line(error)}") from None
    except UserError:
        raise
    except Exception as error:  # whatever the words of a study's author make of its numbers
        raise UserError(f"{path}: cannot be filled in: {one_line(error)}") from None
    return _said(text)


def template(path: Path) -> Template:
    """The words of a study, to be rendered in a sandbox.

    Raises:
        TemplateSyntaxError: they are no template.
        UserError: they cannot be read.
    """
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)})") from None
    return environment.from_string(text)


def _said(text: str) -> list[Said]:
    """Sections that begin `## HEADING [SOURCE]`; those without a word are left out."""
    found = list(_HEADING.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    each = [
        Said(one["heading"], " ".join(text[one.end() : end].split()), one["source"] or "tables")
        for one, end in zip(found, ends, strict=True)
    ]
    return [one for one in each if one.text]


class Facts:
    """What a table says, as a template may ask for it; None where no run says it."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return self._table.frame[self._table.frame.part == "mean"]

    def _done(self, condition: str) -> pd.DataFrame:
        frame = self._frame
        return frame[(frame.condition == condition) & (frame.kind == "run") & (frame.n > 0)]

    def floor(self, condition: str) -> dict[str, float] | None:
        """The labels' own force error, where they have one, and the errors of the variants.

        Returns:
            `error`, `least` and `most` in eV/angstrom; `of_trivial`, of what zero force scores.
        """
        frame = self._frame[self._frame.condition == condition]
        floor, trivial = (frame[frame.kind == kind].forces_mean for kind in ("floor", "trivial"))
        ours = self._done(condition).forces_mean
        if not len(floor) or not floor.item() > 0 or ours.empty:
            return None
        error = float(floor.item())
        of_trivial = error / trivial.item()
        least, most = float(ours.min()), float(ours.max())
        return {"error": error, "of_trivial": of_trivial, "least": least, "most": most}

    def of_trivial(self, condition: str) -> dict[str, Any] | None:
        """Errors as shares of the trivial baseline's on the same frames.

        Returns:
            `variants` that are there of `of`; `energy` and `forces`, as in `12 to 30 %`.
        """
        runs = self._table.runs
        runs = runs[(runs.state == "done") & (runs.condition == condition)]
        if runs.empty:
            return None
        spans = {
            m: _span((runs[f"{m}_mean"] / runs[f"trivial_{m}_mean"]).groupby(runs.label).mean())
            for m in METRICS
        }
        return {"variants": runs.label.nunique(), "of": len(self._table.sweep.runs), **spans}

    def between(self, row: str, one: str, other: str, metric: str) -> dict[str, Any] | None:
        """The error of a row under one condition and under another.

        Returns:
            `before` and `after` in eV or eV/angstrom; `times` smaller, rounded.
        """
        both = [self._done(name) for name in (one, other)]
        found = [frame[frame.row == row][f"{metric}_mean"] for frame in both]
        if any(column.empty for column in found):
            return None
        before, after = (float(column.item()) for column in found)
        return {"before": before, "after": after, "times": f"{before / after:.0f}"}

    def ranking(self, condition: str) -> dict[str, Any] | None:
        """Whether variants come in the order of their printed energy errors: Kendall's tau."""
        ours = self._done(condition).dropna(subset=["energy_printed"])
        if len(ours) < _FEW:
            return None
        found = stats.kendalltau(ours.energy_printed, ours.energy_mean)
        tau = f"{found.statistic:+.2f}".replace("-", "−")
        return {"variants": len(ours), "tau": tau, "p": f"{found.pvalue:.2f}"}

    def seeds(self, condition: str) -> dict[str, Any] | None:
        """How much is measured: `seeds` in words, `differences` with an interval, those `apart`."""
        ours = self._done(condition)
        if ours.empty:
            return None
        several = ours[ours.energy_difference_half.notna()]
        apart = (several.energy_difference.abs() > several.energy_difference_half).sum()
        counts = sorted(set(ours.n))
        return {"seeds": _range(counts), "differences": len(several), "apart": int(apart)}


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
