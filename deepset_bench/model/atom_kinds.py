"""Atoms in like surroundings, numbered: what a graph layer makes of them is the same.

A layer that sees elements and pairs but no distances tells two atoms apart only if their elements
differ, or the elements of their neighbours, or, with another layer, those of the neighbours'
neighbours (Weisfeiler and Leman 1968). Molecules of one sort have few such kinds of atoms in all
frames together, so a layer is computed once for each kind instead of once for each atom.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from deepset_bench.model.batches import Tables

MOST = 64
"""Kinds in a set above which each atom is computed by itself."""

SLOTS = 1 << 20
"""Slots of neighbours that are looked at together."""


def with_kinds(tables: Tables, depth: int) -> Tables:
    """Tables in which atoms are numbered by kind; as they are if there are more than `MOST`.

    Args:
        tables: of any frames; those whose pairs depend on the batch stay as they are.
        depth: how many layers there are, each of which sees one neighbour further.
    """
    if tables.every_second or not len(tables):
        return tables
    kind = tables.numbers.flatten().unique(return_inverse=True)[1].view(tables.numbers.shape)
    members = None
    for _ in range(depth):
        finer = _finer(tables, kind)
        if finer is None:
            return tables
        kind, members = finer
    if members is None:
        return tables
    pair = tables.pair.flatten(0, 1)[members]
    source = _around(tables, kind, members)
    target = torch.arange(len(members), device=kind.device)[:, None].expand_as(source)
    return replace(
        tables,
        kind=kind,
        kind_numbers=tables.numbers.flatten()[members],
        kind_edges=torch.stack([source[pair], target[pair]]),
    )


def _finer(tables: Tables, kind: Tensor) -> tuple[Tensor, Tensor] | None:
    """Kinds (M, n) told apart by their own and their neighbours' kinds, and an atom of each.

    None if there are more than `MOST`.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(-(2**63), 2**63 - 1, (2, int(kind.max()) + 1), generator=generator)
    of_own, of_neighbour = drawn.to(kind.device)
    own, pair = kind.flatten(), tables.pair.flatten(0, 1)
    key = of_own[own]
    pieces = torch.arange(len(own), device=own.device).split(max(SLOTS // pair.shape[1], 1))
    for rows in pieces:
        around = of_neighbour[_around(tables, kind, rows)]
        key[rows] += torch.where(pair[rows], around, 0).sum(-1)  # modulo 2^64, in any order
        if len(key[rows].unique()) > MOST:
            return None
    keys, found = key.unique(return_inverse=True)
    if len(keys) > MOST:
        return None
    members = torch.full_like(keys, len(own)).scatter_reduce(
        0, found, torch.arange(len(own), device=own.device), "amin"
    )

    def described(rows: Tensor) -> Tensor:
        around = torch.where(pair[rows], _around(tables, kind, rows), -1)
        return torch.cat([own[rows, None], around.sort(-1).values], dim=-1)

    wanted = described(members)
    # Two kinds have one key once in 2^64 times.
    if not all(torch.equal(described(rows), wanted[found[rows]]) for rows in pieces):
        return None
    return found.view(kind.shape), members


def _around(tables: Tables, kind: Tensor, rows: Tensor) -> Tensor:
    """(R, J) kinds of what is in the slots of some atoms."""
    frame = rows // tables.numbers.shape[1]
    return kind[frame[:, None], tables.neighbours.flatten(0, 1)[rows]]
