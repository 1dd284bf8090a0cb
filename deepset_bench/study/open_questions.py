"""What of a study is decided, and which runs what is open needs: a function of the runs there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd

from deepset_bench.study.boundary import Looks
from deepset_bench.study.claimed import Claim, claimed
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import IMPOSSIBLE, Where, collect, named
from deepset_bench.study.tables import Table, of_study
from deepset_bench.study.verdict import UNDECIDED
from deepset_bench.sweep.studies import Study


@dataclass(frozen=True)
class Question:
    """A row of a table in a metric, or a claim, under a condition.

    Attributes:
        group: the comparison, or `claims`, with the condition where it has a name.
        row: of the table, or the claim's number.
        metric: in words; empty for a claim.
        word: the verdict so far.
        homes: folders of the variants whose runs it is about.
    """

    group: str
    row: str
    metric: str
    word: str
    homes: frozenset[Path]

    @property
    def is_open(self) -> bool:
        """Whether more seeds are to answer it."""
        return self.word == UNDECIDED


def questions(
    study: Study, conditions: Sequence[str], where: Where, looks: Looks
) -> list[Question]:
    """What is asked of a study's runs: of its tables, of a whole study also its claims.

    Claims on wall time are none: more seeds do not decide them.

    Args:
        study: whose.
        conditions: that it is asked under.
        where: which runs.
        looks: numbers of seeds at which one looks.

    Raises:
        UserError: overrides that do not compose, a mistake in the study's files.
    """
    found: list[Question] = []
    for one in study.tables:
        if one.compares:
            found += _of_table(of_study(study, one, conditions, where, looks=looks))
    if study.whole:
        found += _of_claims(study, conditions, where, looks)
    return found


def left_open(found: Sequence[Question]) -> str:
    """The rows that are open, with the metrics of those of which some are decided: `a; b (RMSE)`.

    Args:
        found: of one group.
    """
    texts = []
    for row, own in groupby(found, key=lambda one: one.row):
        every = list(own)
        left = [one.metric for one in every if one.is_open]
        if left:
            texts.append(row if len(left) == len(every) else f"{row} ({', '.join(left)})")
    return "; ".join(texts)


def _of_table(table: Table) -> Iterator[Question]:
    homes, base = _homes(table.runs), table.sweep.baseline
    frame = table.frame
    rows = frame[(frame.kind == "run") & (frame.part == table.part) & (frame.row != base)]
    for row in rows.to_dict("records"):
        pair = (row["row"], row["condition"]), (base, row["condition"])
        if all(one in homes for one in pair):
            needs = frozenset(homes[one] for one in pair)
            for column in table.columns:
                group = named(table.sweep.name, row["condition"])
                word = str(row[f"{column.name}_sign"])
                yield Question(group, str(row["row"]), column.words, word, needs)


def _of_claims(
    study: Study, conditions: Sequence[str], where: Where, looks: Looks
) -> Iterator[Question]:
    each = [one for one in claimed(study) if isinstance(one, Claim) and one.column]
    if not each:
        return
    names = dict.fromkeys(one.runs for one in each)
    homes = {
        name: _homes(collect(study.comparison(name, "claims"), conditions, where)) for name in names
    }
    verdicts = claims(study, conditions, where, looks=looks)
    numbers = {text: n for n, text in enumerate(verdicts.claim.drop_duplicates(), 1)}
    words = verdicts.set_index(["claim", "condition"]).verdict
    for one in each:
        for condition in conditions:
            here = {
                row: home for (row, under), home in homes[one.runs].items() if under == condition
            }
            rows = {row for pair in one.pairs for row in pair} or set(here)
            if rows and rows <= set(here):
                needs = frozenset(here[row] for row in rows)
                word = str(words[one.text, condition])
                yield Question(named("claims", condition), str(numbers[one.text]), "", word, needs)


def _homes(runs: pd.DataFrame) -> dict[tuple[str, str], Path]:
    """(label, condition) -> folder of a variant's runs, of those that can be made."""
    possible = runs[runs.state != IMPOSSIBLE]
    each = zip(possible.label, possible.condition, possible.folder, strict=True)
    return {(label, condition): folder.parent.absolute() for label, condition, folder in each}
