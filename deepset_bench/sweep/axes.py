"""Overrides with several values: the product of what they list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product
from math import prod

from hydra.core.override_parser.types import Glob, Override, RangeSweep
from hydra.errors import HydraException

from deepset_bench.config import parse
from deepset_bench.errors import UserError, nearest
from deepset_bench.groups import groups

MOST = 100_000
"""Combinations that one command may list; more are a slip, and would fill the memory."""


def combinations(overrides: Sequence[str], seeds: int | None = None) -> list[tuple[str, ...]]:
    """The product of all axes: overrides of one value each.

    Raises:
        UserError: an override that does not parse or has values that cannot be listed, a seed
            beside `seeds`, or `stack`, which is several runs.
    """
    parsed = parse(overrides)
    for override in parsed:
        if seeds is not None and override.key_or_group == "seed":
            raise UserError(f"{override.input_line} and --seeds {seeds}: give one of them")
        if override.key_or_group == "stack":
            raise UserError(f"{override.input_line}: a sweep takes --seeds N and --stack N instead")
    axes = [_values(override) for override in parsed]
    if prod(map(len, axes)) > MOST:
        raise UserError(f"{' '.join(overrides):.200}: are over {MOST} combinations; list fewer")
    return list(product(*axes))


def _values(override: Override) -> list[str]:
    """The override once for each of its values."""
    line, key = override.input_line or "", override.key_or_group
    if not override.is_sweep_override():
        return [line]
    value = override.value()
    if isinstance(value, Glob):
        # Not by Hydra, which does not know the options of imported data.
        if key not in groups():
            raise UserError(f"{line}: {key} is not a group; {nearest(key, groups())}")
        values = value.filter(groups()[key])
    else:
        try:
            _check_shuffled(override, line)
            values = list(islice(override.sweep_string_iterator(), MOST + 1))
        except HydraException:
            raise UserError(
                f"{line}: its values cannot be listed; use a,b or range(start,stop)"
            ) from None
    if not values:
        raise UserError(f"{line}: there is no such value")
    return [f"{override.get_key_element()}={text}" for text in values]


def _check_shuffled(override: Override, line: str) -> None:
    """Hydra lists a whole range before it shuffles it.

    Raises:
        UserError: that is more than a command may list.
    """
    value = override.value()
    if isinstance(value, RangeSweep) and value.shuffle:
        start, stop, step = (float(one or 0) for one in (value.start, value.stop, value.step))
        if step and abs(stop - start) / abs(step) > MOST:
            raise UserError(f"{line}: lists over {MOST} values; list fewer")
