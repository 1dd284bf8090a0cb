"""The words of a study's own page: its `findings.md.j2`, every number in it computed.

The template is the study's and is rendered in a sandbox: it can ask for what is named here and for
nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import StrictUndefined, Template, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from deepset_bench import bounds
from deepset_bench.errors import UserError, one_line
from deepset_bench.page.comparing import Facts, many
from deepset_bench.study.effect import percent
from deepset_bench.study.tables import Table
from deepset_bench.study.verdict import WORDS
from deepset_bench.surroundings import of_file
from deepset_bench.sweep.studies import Study
from deepset_bench.units import UNITS

FILE = "findings.md.j2"
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
        each = [f"{counts[v]} {v}" for v in WORDS if v in counts]
        return ", ".join(each)

    names: Mapping[str, Any] = {
        "of": lambda name: Facts(table(study.comparison(name, str(path)).name)),
        "conditions": list(dict.fromkeys(claims.condition)) or list(study.conditions) or [""],
        "claims": claims.claim.nunique(),
        "verdicts": verdicts,
        "number": number,
        "amount": lambda value, metric: f"{number(value, metric)} {UNITS[unit][metric][1]}",
        "percent": percent,
        "many": many,
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
    environment = _Sandbox(undefined=StrictUndefined, autoescape=False)
    try:
        text = bounds.text(path, bounds.SHEET)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({of_file(path, error)})") from None
    return environment.from_string(text)


class _Sandbox(SandboxedEnvironment):
    """In which numbers alone are multiplied: a text could fill the memory."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """See jinja2."""
        numbers = all(isinstance(one, int | float) and abs(one) < 1e9 for one in (left, right))
        if not numbers or (operator == "**" and abs(right) > 100):
            raise ValueError(f"{operator} is for numbers below 1e9")
        return super().call_binop(context, operator, left, right)


def _said(text: str) -> list[Said]:
    """Sections that begin `## HEADING [SOURCE]`; those without a word are left out."""
    found = list(_HEADING.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    each = [
        Said(one["heading"], " ".join(text[one.end() : end].split()), one["source"] or "tables")
        for one, end in zip(found, ends, strict=True)
    ]
    return [one for one in each if one.text]
