"""Stamps: what a run carries of a study that was registered before the run started."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from deepset_bench.reading import Kinds, lacking

REGISTERED, STARTED = "registered", "started"
"""Keys of result.json, of status.json of a queued run (the first alone) and of last.pt."""
Rule = Mapping[str, Any]
"""A stopping rule: `{"looks": [3, 5, 8]}`, numbers of seeds at which one looks, or `{"seeds": 10}`.
"""
Stamp = Mapping[str, Any]
"""`study` (its name), `hash` (of what was registered), `time` (UTC, ISO 8601) and `rule`."""
_KINDS: Kinds = {"study": str, "hash": str, "time": str, "rule": dict}


def now() -> str:
    """The time in UTC, to a second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def wrong_time(text: str) -> str:
    """What keeps a text from being a time with its zone, in words; empty for nothing."""
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    return "" if zone else f"{text!r:.40} is not a time with its zone"


def wrong_rule(rule: Any) -> str:
    """What keeps this from being a stopping rule, in words; empty for nothing."""
    found = f"{rule!r:.60} is not a stopping rule"
    if not isinstance(rule, Mapping) or len(rule) != 1:
        return found
    numbers = rule["looks"] if "looks" in rule else [rule.get("seeds")]
    if not isinstance(numbers, list) or not numbers:
        return found
    if not all(type(one) is int and one > 1 for one in numbers):
        return f"{found}: seeds are counted from 2 on"
    if not all(a < b for a, b in pairwise(numbers)):
        return f"{found}: each look has to have more seeds than the one before"
    return ""


def wrong_stamps(content: Mapping[str, Any]) -> str:
    """What is wrong with the stamps of a run's file, in words; empty for nothing."""
    stamps = content.get(REGISTERED, [])
    if not isinstance(stamps, list):
        return f"{REGISTERED} is {stamps!r:.40}"
    for one in stamps:
        problem = "is no mapping"
        if isinstance(one, dict):
            problem = lacking(one, _KINDS) or wrong_time(one["time"]) or wrong_rule(one["rule"])
        if problem:
            return f"{REGISTERED}: {problem}"
    return ""


def carried(saved: Mapping[str, Any]) -> tuple[list[Stamp], str]:
    """The stamps of a run that goes on, and when it started, as its checkpoint has them.

    That of an earlier version has none, and an empty text.
    """
    stamps, started = saved.get(REGISTERED, []), saved.get(STARTED, "")
    if wrong_stamps(saved) or not isinstance(started, str) or wrong_time(started):
        return [], ""
    return list(stamps), started


def before_its_start(result: Mapping[str, Any]) -> list[Stamp]:
    """The stamps of a result.json that are not younger than the run's start."""
    started = result.get(STARTED)
    if wrong_stamps(result) or not isinstance(started, str) or wrong_time(started):
        return []
    start = datetime.fromisoformat(started)
    stamps: list[Stamp] = result.get(REGISTERED, [])
    return [one for one in stamps if datetime.fromisoformat(one["time"]) <= start]


def rule_text(rule: Rule) -> str:
    """A stopping rule for people."""
    if "seeds" in rule:
        return f"{rule['seeds']} seeds"
    *first, last = rule["looks"]
    return f"looks at {', '.join(map(str, first))}{' and ' * bool(first)}{last} seeds"
