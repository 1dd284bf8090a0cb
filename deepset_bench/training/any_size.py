"""One graph for batches of any number of frames of any size.

Sets of frames of many sizes are computed in parts that differ from batch to batch, and networks
that are computed edge by edge see another number of edges in every batch. Their sizes are left open
as the training step is traced, so one compiled graph serves all of them; there are two kinds, dense
tables and compact ones, and one of edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from deepset_bench.model.batches import Batch
from deepset_bench.training.loss import Target

Named = dict[str, Tensor]
EDGES = "edges"
"""The tensor of a batch that is not one row an atom."""


def framewise(batch: Batch, target: Target) -> tuple[Named, Target]:
    """The tensors of a batch and its target with rows as (frames, atoms of a frame)."""
    frames = batch.n_frames, -1
    tensors = batch.tensors()
    rows = {name: t.unflatten(0, frames) for name, t in tensors.items() if name != EDGES}
    return tensors | rows, {**target, "forces": target["forces"].unflatten(0, frames)}


def of_framewise(compute: Callable[[Tensor, Named, Batch, Target], Any], batch: Batch) -> Any:
    """`compute` of batches as dense as this one, given as `framewise` has them."""

    like = replace(without_tensors(batch), n_frames=0)  # what was compiled is found by any other

    def function(flat: Tensor, buffers: Named, tensors: Named, target: Target) -> Any:
        rows = {name: t.flatten(0, 1) for name, t in tensors.items() if name != EDGES}
        values: dict[str, Any] = tensors | rows
        whole = replace(like, **values, n_frames=tensors["numbers"].shape[0])
        return compute(flat, buffers, whole, {**target, "forces": target["forces"].flatten(0, 1)})

    return function


def without_tensors(batch: Batch) -> Batch:
    """What of a batch is the same in all batches like it."""
    nothing: dict[str, Any] = dict.fromkeys(batch.tensors())
    return replace(batch, **nothing)


def left_open(flat: Tensor, buffers: Named, tensors: Named, target: Target) -> tuple[Any, ...]:
    """Which sizes, the first of each tensor, differ from batch to batch as `framewise` gives them.

    B are frames, n atoms of a frame, J slots of an atom, E edges.
    """
    of_tensors = {"numbers": "Bn", "positions": "Bn", "volume": "B", EDGES: "E"}
    energy_unit = "B" * target["energy_unit"].dim()
    of_target = {"energy": "B", "forces": "Bn", "stress": "B", "energy_unit": energy_unit}
    return (
        "",
        dict.fromkeys(buffers, ""),
        {name: of_tensors.get(name, "BnJ") for name in tensors},
        {name: of_target.get(name, "") for name in target},
    )


def stand_ins(flat: Tensor, buffers: Named, tensors: Named, target: Target) -> tuple[Any, ...]:
    """Tensors as `framewise` gives them, of any such sizes, for a trace."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import (
        DimDynamic,
        ShapeEnv,
        StatelessSymbolicContext,
    )
    from torch.utils._pytree import tree_map

    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    sizes = _unequal(*tensors["neighbours"].shape, tables=EDGES not in tensors)

    def stand_in(tensor: Tensor, opened: str) -> Tensor:
        fixed = tensor.shape[len(opened) :]
        # Equal sizes are one unknown: all the frames, all the atoms.
        kinds = [DimDynamic.DUCK] * len(opened) + [DimDynamic.STATIC] * len(fixed)
        if opened:
            example = tensor.new_zeros((*(sizes[letter] for letter in opened), *fixed))
        else:  # as it lies in memory: a table of coefficients may be turned
            example = tensor.new_empty_strided(tensor.shape, tensor.stride())
        return mode.from_tensor(example, symbolic_context=StatelessSymbolicContext(kinds))

    given = (flat, buffers, tensors, target)
    whole: tuple[Any, ...] = tree_map(stand_in, given, left_open(*given))
    return whole


def _unequal(frames: int, n: int, J: int, *, tables: bool) -> dict[str, int]:
    """Sizes like these, all different but for dense tables, where n = J, and none of them 1.

    A size of 1 would be taken for a fixed one. What is computed by edges is so in all tables.
    """
    if tables and n == J:
        n = J = max(n, 2)
    else:
        J = max(J, 2)
        n = max(n, J + 1)
    frames = max(frames, 2)
    while frames in (n, J):
        frames += 1
    return {"B": frames, "n": n, "J": J, "E": frames * n * J}


def check_open(stand_ins: tuple[Any, ...]) -> None:
    """Raise where what was traced with them holds for the sizes that they happen to have alone."""
    from torch.utils._pytree import tree_leaves

    unknown = {
        size.node.expr: size.node.hint
        for tensor in tree_leaves(stand_ins)
        for size in tensor.shape
        if not isinstance(size, int)
    }
    others = {symbol: size + 1 for symbol, size in unknown.items()}
    assumed = tree_leaves(stand_ins)[0].fake_mode.shape_env.guards
    fixed = any(symbol.is_number for symbol in unknown)
    if fixed or not all(guard.expr.subs(others) for guard in assumed):
        raise RuntimeError("the traced step holds for one size of frames alone")
