"""Which run of a variant a run is: the two numbers that draw everything random in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from deepset_bench.schema import Config

KEYS = ("seed", "data.split_seed")
"""Keys of a configuration that tell runs of one variant from each other."""
_FOLDER = re.compile(r"seed-(\d+)(?:-split-(\d+))?", re.ASCII)


@total_ordering
@dataclass(frozen=True)
class Replicate:
    """A run among those of its variant.

    As text it is the name of the run's folder, `seed-3` or `seed-3-split-0`.

    Attributes:
        seed: of initialisation and order.
        split: `data.split_seed`; None where `seed` draws the split, too.
    """

    seed: int
    split: int | None = None

    @classmethod
    def of(cls, config: Config) -> Replicate:
        """That of a configuration."""
        return cls(config.seed, config.data.split_seed)

    @classmethod
    def named(cls, folder: str) -> Replicate | None:
        """That of a folder's name; None where it is no run's."""
        found = _FOLDER.fullmatch(folder)
        if found is None:
            return None
        return cls(int(found[1]), None if found[2] is None else int(found[2]))

    def __str__(self) -> str:
        return f"seed-{self.number}"

    def __lt__(self, other: Replicate) -> bool:
        return self._order < other._order

    @property
    def drawn_by(self) -> int:
        """The seed that draws its split."""
        return self.seed if self.split is None else self.split

    @property
    def number(self) -> str:
        """`3`, or `3-split-0`: the folder's name without its beginning."""
        return f"{self.seed}" if self.split is None else f"{self.seed}-split-{self.split}"

    @property
    def _order(self) -> tuple[int, int]:
        """Those whose seed draws the split first."""
        return (-1 if self.split is None else self.split, self.seed)


def words(runs: Iterable[Replicate]) -> str:
    """`seed 0, 1`, or `split 0, seed 0, 1; split 1, seed 0`."""
    each = (
        f"{'' if split is None else f'split {split}, '}seed {', '.join(map(str, seeds))}"
        for split, seeds in _by_split(runs).items()
    )
    return "; ".join(each)


def overrides(runs: Iterable[Replicate]) -> list[list[str]]:
    """What asks for these runs of a variant and no others: of `bench sweep`, one or more times."""
    grids: dict[tuple[tuple[int, ...], bool], list[int]] = {}
    for split, seeds in _by_split(runs).items():
        grid = grids.setdefault((tuple(seeds), split is None), [])
        grid += [] if split is None else [split]
    return [
        [
            *([f"data.split_seed={','.join(map(str, splits))}"] if splits else []),
            f"seed={','.join(map(str, seeds))}",
        ]
        for (seeds, _), splits in grids.items()
    ]


def _by_split(runs: Iterable[Replicate]) -> dict[int | None, list[int]]:
    found: dict[int | None, list[int]] = {}
    for run in sorted(set(runs)):
        found.setdefault(run.split, []).append(run.seed)
    return found
