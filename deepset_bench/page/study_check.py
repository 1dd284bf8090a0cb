"""`bench study check`: does what a study's files say of each other hold together?"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import TemplateSyntaxError

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError, one_line
from deepset_bench.figures import offered as figures
from deepset_bench.page.findings import FILE, template
from deepset_bench.page.report_command import corrections
from deepset_bench.scoring.table import chosen
from deepset_bench.study.claimed import Claim, ReferenceClaim, claimed
from deepset_bench.study.collect import under
from deepset_bench.study.published import published
from deepset_bench.sweep.studies import Study


def problems(study: Study) -> Iterator[str]:
    """What does not hold together, a line each.

    Args:
        study: read, so that its study.yaml and the comparisons that it shows are whole.
    """
    said = ""
    for part in (_runs, _metrics, _claims, _figures, _words):
        try:
            for line in part(study):
                said += f"{line}\n"
                yield line
        except UserError as error:
            line = " ".join(str(error).split())
            if line not in said:  # a claim on a broken run breaks as the run did
                yield line


def _runs(study: Study) -> Iterator[str]:
    found: dict[tuple[str, str], list[str]] = {}  # rows of a file that fail alike
    for one in study.comparisons.values():
        for condition in study.conditions or [""]:
            for row in one.runs:
                try:
                    config = experiment([*row.overrides, *under(condition)]).config
                    for name in config.sets:
                        catalogue.datasheet(name)
                except UserError as error:
                    label = f"{row.label}{f' ({condition})' if condition else ''}"
                    found.setdefault((one.file[0], str(error)), []).append(label)
    for (file, why), rows in found.items():
        others = f" and {len(rows) - 1} other rows" if len(rows) > 2 else ""
        yield f"{file}: {rows[0] if others else ', '.join(rows)}{others}: {why}"
    if study.answer:
        name, *rows = study.answer
        labels = {row.label for row in study.comparison(name, "study.yaml: answer").runs}
        if len(rows) > 1 or not set(rows) <= labels:
            yield "study.yaml: answer must be a comparison, and at most one of its rows"


def _metrics(study: Study) -> Iterator[str]:
    chosen(study.metrics)
    yield from ()


def _claims(study: Study) -> Iterator[str]:
    for one in claimed(study):
        if isinstance(one, Claim):
            runs = {row.label: row for row in study.comparison(one.runs, "claims").runs}
            fill = {
                experiment(row.overrides).variant
                for row in study.comparison(one.fill, "claims").runs
            }
            for label in dict.fromkeys(label for pair in one.pairs for label in pair):
                if experiment(runs[label].overrides).variant not in fill:
                    yield f"claims.yaml: {one.text!r}: {one.fill} does not make the run {label!r}"
        elif isinstance(one, ReferenceClaim):
            for name in (one.fitted_on, one.applied_to):
                catalogue.datasheet(name)
            if not published(study).printed(one.label, one.table):
                yield f"claims.yaml: {one.text!r}: published.yaml has no {one.label!r}"
    labels = {row.label for one in study.comparisons.values() for row in one.runs}
    for table, content in published(study).content.items():
        comparison, beside, _ = table.partition("/")
        if beside:  # other networks may stand beside the runs of a comparison
            study.comparison(comparison, f"published.yaml: {table}")
            continue
        for column in content.get("columns", []):
            if column["label"] not in labels:
                yield f"published.yaml: {table}: no run is called {column['label']!r}"


def _figures(study: Study) -> Iterator[str]:
    for entry in figures.of_study(study).listed or ():
        sheet = entry.keys.get("sheet")
        if sheet:
            study.comparison(str(sheet), f"{entry.place}, sheet")
    yield from ()


def _words(study: Study) -> Iterator[str]:
    corrections(study)
    if path := study.file(FILE):
        try:
            template(path)
        except TemplateSyntaxError as error:
            yield f"{path}, line {error.lineno}: {one_line(error)}"
