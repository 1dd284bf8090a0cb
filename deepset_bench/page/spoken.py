"""The words of a study's page, alone: its answer and its findings."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import cache

from deepset_bench.page.findings import findings
from deepset_bench.study.answer import answers
from deepset_bench.study.claims import claims
from deepset_bench.study.collect import Where
from deepset_bench.study.tables import Table, of_study
from deepset_bench.study.tables_command import conditions_shown
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.studies import Study

_WIDTH = 100  # of lines of Markdown


def spoken(study: Study, conditions: Sequence[str], unit: str, where: Where) -> str:
    """The answer and the findings of a page in Markdown, for a text that goes on to say more.

    Args:
        study: whose.
        conditions: to show; none: those of the study.
        unit: `hartree` or `mev`.
        where: which runs.

    Raises:
        UserError: an override that does not compose, an unreadable run.
    """
    shown = conditions_shown(study, conditions)
    table = tables_of(study, shown, where)
    answered = answers(study, [table(one.name) for one in asked(study)], unit)
    each = [f"**{it.condition}:** {it.text}" if it.condition else it.text for it in answered]
    said = findings(study, table, claims(study, shown, where, unit=unit), unit)
    each += [f"### {it.heading}\n\n{textwrap.fill(it.text, _WIDTH)}" for it in said]
    return "\n\n".join(each) + "\n"


def tables_of(study: Study, conditions: Sequence[str], where: Where) -> Callable[[str], Table]:
    """Name of a comparison -> its table, each made once, whatever asks for it."""

    @cache
    def table(name: str) -> Table:
        return of_study(study, study.comparison(name, "page"), conditions, where)

    return table


def asked(study: Study) -> Sequence[Comparison]:
    """The comparisons that may answer a study's question."""
    return [study.comparison(study.answer[0], "page")] if study.answer else study.tables
