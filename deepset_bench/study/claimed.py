"""What a study claims or expects: the entries of its `claims.yaml`, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepset_bench.errors import UserError, nearest
from deepset_bench.reading import is_number, mapping, read_yaml
from deepset_bench.scoring.table import chosen
from deepset_bench.study.columns import Column
from deepset_bench.study.verdict import Claimed
from deepset_bench.sweep.studies import Study

FILE = "claims.yaml"
SECONDS = "seconds"
"""Stands for a metric: the wall time of a training step, as `bench time` measured it."""
_EVERY = ("claim", "source")
_OF_RUNS = (*_EVERY, "runs", "compare", "metric", "change", "fill")
_OF_TRIVIAL = (*_EVERY, "runs", "metric", "of_trivial", "fill")
_OF_REFERENCE = (*_EVERY, "energy_reference", "error")
_CHANGE = re.compile(
    r"(?P<least>at least )?"
    r"((?P<sign>[+\-−])\s*(?P<percent>\d+(\.\d+)?)\s*%|[x×](?P<times>\d+(\.\d+)?))"
)
_WORDS = {"less": -1, "more": 1, "equal": 0}
_SHARE = re.compile(r"(?P<word>more|less) than (?P<percent>\d+(\.\d+)?)\s*%")


@dataclass(frozen=True)
class Claim:
    """A sentence about runs.

    Attributes:
        text: the sentence.
        source: where it is said; may be empty.
        runs: name of the comparison whose runs decide.
        fill: name of the comparison that makes just these runs.
        column: the metric that it is about, or one member of one that is several numbers; None for
            the wall time of a training step.
        pairs: (variant, baseline), labels of the comparison; none where each row is compared with
            a share of what a trivial prediction scores.
        claimed: what it says that the variant does, or that every row has of the trivial error.
    """

    text: str
    source: str
    runs: str
    fill: str
    column: Column | None
    pairs: tuple[tuple[str, str], ...]
    claimed: Claimed


@dataclass(frozen=True)
class ReferenceClaim:
    """A sentence about the energy reference alone, of one set applied to another: no model needed.

    Attributes:
        text: the sentence.
        source: where it is said; may be empty.
        fitted_on: the set that the reference is fitted on.
        applied_to: the set whose mean energy it misses.
        label: of the printed energy error that the miss is compared with.
        table: number of the table that prints it.
        times: it holds where the miss is over this many times that error.
    """

    text: str
    source: str
    fitted_on: str
    applied_to: str
    label: str
    table: int
    times: float


def claimed(study: Study) -> list[Claim | ReferenceClaim]:
    """What a study claims; nothing where it has no `claims.yaml`.

    Raises:
        UserError: the file is not as it is to be; the message has the entry's number and key.
    """
    path = study.file(FILE)
    if path is None:
        return []
    content = read_yaml(path)
    if not isinstance(content, list):
        raise UserError(f"{path}: must be a list of claims, each a mapping that begins '- claim:'")
    found = [_one(study, entry, f"{path}: claim {n}") for n, entry in enumerate(content, 1)]
    first: dict[str, int] = {}
    for number, one in enumerate(found, 1):
        if (
            first.setdefault(one.text, number) != number
        ):  # tables and page tell claims by their text
            where = f"{path}: claim {number}"
            raise UserError(f"{where}: has the same sentence as claim {first[one.text]}")
    return found


def _one(study: Study, entry: Any, where: str) -> Claim | ReferenceClaim:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: must be a mapping that begins '- claim:'")
    keys: tuple[str, ...] = _OF_RUNS
    if "energy_reference" in entry:
        keys = _OF_REFERENCE
    elif "of_trivial" in entry:
        keys = _OF_TRIVIAL
    mapping(entry, where, keys)
    text, source = _text(entry, "claim", where), _text(entry, "source", where, "")
    if keys is _OF_REFERENCE:
        return _of_reference(text, source, entry, where)
    metric = _text(entry, "metric", where)
    column = _column(metric, f"{where}: metric")
    if keys is _OF_TRIVIAL:
        if column is None or column.metric.of_run:
            raise UserError(f"{where}: metric: no trivial prediction has a {metric}")
        name = _named(study, entry, where, [])
        found = _SHARE.fullmatch(str(entry["of_trivial"]))
        if not found:
            raise UserError(f"{where}: of_trivial must be as in 'more than 50 %'")
        pairs: tuple[tuple[str, str], ...] = ()
        share = Claimed(_WORDS[found["word"]], float(found["percent"]) / 100)
        return Claim(text, source, name, _fill(study, entry, name, where), column, pairs, share)
    compare = entry.get("compare")
    if not isinstance(compare, dict) or not compare:
        raise UserError(f"{where}: compare must be a mapping, as in {{variant: baseline}}")
    pairs = tuple((str(variant), str(base)) for variant, base in compare.items())
    if same := next((variant for variant, base in pairs if variant == base), ""):
        raise UserError(f"{where}: compare: {same} is compared with itself")
    name = _named(study, entry, where, [label for pair in pairs for label in pair])
    change = _change(entry.get("change"), f"{where}: change")
    return Claim(text, source, name, _fill(study, entry, name, where), column, pairs, change)


def _text(entry: Mapping[str, Any], key: str, where: str, otherwise: str | None = None) -> str:
    found = entry.get(key, otherwise)
    if not isinstance(found, str):
        raise UserError(f"{where}: {key} is missing or not text")
    return found


def _named(study: Study, entry: Mapping[str, Any], where: str, labels: list[str]) -> str:
    """The comparison that a claim is about: the one it names, else the first that has its rows."""
    if "runs" in entry:
        one = study.comparison(_text(entry, "runs", where), f"{where}: runs")
        candidates = [one]
    else:
        candidates = list(study.comparisons.values())
    for one in candidates:
        if set(labels) <= {run.label for run in one.runs}:
            return one.name
    known = {run.label for one in candidates for run in one.runs}
    for label in labels:
        if label not in known:
            raise UserError(f"{where}: no run is called {label!r}; {nearest(label, known)}")
    raise UserError(f"{where}: no comparison has all of {', '.join(dict.fromkeys(labels))}")


def _fill(study: Study, entry: Mapping[str, Any], runs: str, where: str) -> str:
    if "fill" not in entry:
        return runs
    return study.comparison(_text(entry, "fill", where), f"{where}: fill").name


def _column(text: str, where: str) -> Column | None:
    """What `METRIC`, or `METRIC.MEMBER` of one that is several numbers, or SECONDS stands for."""
    if text == SECONDS:
        return None
    name, _, member = text.partition(".")
    try:
        return Column(chosen([name])[0], member)
    except (UserError, IndexError) as error:
        raise UserError(f"{where}: {error}") from None


def _change(content: Any, where: str) -> Claimed:
    """`-39.1 %`, `+17 %`, `at least +17 %`, `x100`, `x0.5`, `less`, `more` or `equal`."""
    text = str(content).strip()
    if text in _WORDS:
        return Claimed(_WORDS[text])
    found = _CHANGE.fullmatch(text)
    if not found or content is None:
        raise UserError(
            f"{where} must be less, more, equal, or as in -39.1 %, at least +17 % or x100"
        )
    if found["times"]:
        change = float(found["times"]) - 1
    else:
        change = float(found["percent"]) / 100 * (1 if found["sign"] == "+" else -1)
    if change == 0:
        raise UserError(f"{where}: {text} is no change; say equal")
    if change <= -1:
        raise UserError(f"{where}: nothing is {-100 * change:g} % less than something")
    return Claimed(1 if change > 0 else -1, abs(change), found["least"] is not None)


def _of_reference(text: str, source: str, entry: Mapping[str, Any], where: str) -> ReferenceClaim:
    sets, error = entry["energy_reference"], entry.get("error")
    if not isinstance(sets, dict) or set(sets) != {"fitted_on", "applied_to"}:
        raise UserError(f"{where}: energy_reference must have fitted_on and applied_to")
    wanted = {"label": str, "table": int, "times": (int, float)}
    if not isinstance(error, dict) or set(error) != set(wanted):
        raise UserError(f"{where}: error must have {', '.join(wanted)}")
    if not is_number(error["times"]) or not isinstance(error["table"], int):
        raise UserError(f"{where}: error: table and times must be numbers")
    return ReferenceClaim(
        text, source, str(sets["fitted_on"]), str(sets["applied_to"]), str(error["label"]),
        error["table"], float(error["times"]),
    )  # fmt: skip
