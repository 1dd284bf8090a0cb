"""Which frames are for training, validation and testing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from deepset_bench import file_version
from deepset_bench.errors import UserError, nearest
from deepset_bench.molecules.frames import Frames, IntArray
from deepset_bench.surroundings import of_file

# Keeps the stream of a split apart from every other use of the same seed.
_STREAM = 0x5B117
GAP = 50
"""Frames left out between parts by `blocks`: 1 ps at 20 fs a frame, after which the potential
energy of but-2-ene's metadynamics run has an autocorrelation of 0.13 (0.94 after one frame)."""
_BLOCK = 4 * GAP
# Arrangements of blocks tried, so that a split that fits does so with (nearly) every seed.
_ATTEMPTS = 100

Drawn = tuple[list[IntArray], IntArray]
"""The parts test, val and train, and in the order of a draw what else is held out with test."""


@dataclass(frozen=True, eq=False)
class Split:
    """Frame indices, int64, disjoint: `train` (n_train,), `val` (n_val,), `test` (n_test,).

    `ood`, (n_ood,), counts in the set of the task's out-of-distribution frames; empty without one.
    `held_out`, (n_held_out,), ascending: `test` and other frames that are as far from `train` and
    `val`; empty where it was not asked for.
    """

    train: IntArray
    val: IntArray
    test: IntArray
    ood: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    held_out: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def within(self, rows: IntArray, ood: IntArray) -> Split:
        """The same of the set that these rows of it were divided of, with out-of-distribution."""
        train, val, test, held_out = (
            rows[part] for part in (self.train, self.val, self.test, self.held_out)
        )
        return Split(train, val, test, ood, held_out)

    def save(self, path: Path) -> None:
        """Write split.npz, whole or not at all."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("ood", "held_out"):
            if not len(parts[name]):
                del parts[name]
        file_version.save_arrays(path, parts)

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what `save` wrote.

        Raises:
            UserError: no such file, or not a split.
        """
        try:
            parts = {"ood": np.empty(0), "held_out": np.empty(0), **file_version.arrays(path)}
            return cls(**{f.name: parts[f.name].astype(np.int64) for f in fields(cls)})
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except Exception as error:
            said = of_file(path, error)
            raise UserError(f"{path}: not a readable split ({said})") from None


def divisible(frames: Frames, rows: IntArray | slice = slice(None)) -> IntArray:
    """Which of some rows of a set parts are drawn from: not lone atoms, unless all of them are.

    Their energies are references, far from those of molecules: one in the training part would
    decide its spread, one in another part the errors there.
    """
    lone = frames.lone_atoms[rows]
    return np.flatnonzero(~lone | bool(lone.all()))


def usual_sizes(n_frames: int) -> tuple[int, int, int]:
    """Training, validation and test frames: 1000, 100, 100, or all, a twelfth each held out.

    One each at least, whether they are there or not.
    """
    held_out = max(min(n_frames // 12, 100), 1)
    return max(min(n_frames - 2 * held_out, 1000), 1), held_out, held_out


@dataclass(frozen=True, eq=False)
class _Pool:
    """What a division of m frames looks at.

    Attributes:
        molecule: (m,) names.
        index: (m,) numbers in the source.
        species: (s,) atomic numbers.
        present: (m, s) whether a frame holds an element.
    """

    molecule: NDArray[np.str_]
    index: IntArray
    species: IntArray
    present: NDArray[np.bool_]

    @classmethod
    def of(cls, frames: Frames, rows: IntArray | None) -> _Pool:
        """Of a set, or of these rows of it."""
        species = frames.species
        present = frames.composition(species) > 0
        if rows is None:
            return cls(frames.molecule, frames.index, species, present)
        held = present[rows].any(axis=0)
        molecule, index = frames.molecule[rows], frames.index[rows]
        return cls(molecule, index, species[held], present[np.ix_(rows, held)])

    def __len__(self) -> int:
        return len(self.index)


def split(
    frames: Frames,
    kind: str,
    train_size: int,
    val_size: int,
    test_size: int,
    seed: int,
    rows: IntArray | None = None,
    held_out_size: int = 0,
) -> Split:
    """Draw disjoint sets of frames; the same arguments give the same sets on every machine.

    Args:
        frames: the set to divide.
        kind: `random`, frames drawn from the whole set (the report's: neighbours in time may be
            in different parts); `blocks`, whole blocks of time for each part, with `GAP` frames
            left out between parts; `molecule`, whole molecules for each part.
        train_size: frames for training, at least 1; for `molecule`, at most so many.
        val_size: frames for validation, at least 0; for `molecule`, at most so many.
        test_size: frames for testing, at least 0; for `molecule`, at most so many.
        seed: not negative.
        rows: those of the set that are divided; the split counts among them. None for all.
        held_out_size: frames of the part `held_out` at most: those of `test`, then of a draw among
            the frames that are in no other part, in `blocks` and `molecule` of those blocks and
            molecules that `test` is of. None of an element that training lacks.

    Raises:
        UserError: an unknown kind, or sizes that do not fit; says how many frames there are.
    """
    if kind not in _KINDS:
        raise UserError(f"unknown split '{kind}'; {nearest(kind, _KINDS)}")
    if train_size < 1 or val_size < 0 or test_size < 0 or seed < 0:
        raise UserError(
            f"train_size {train_size}, val_size {val_size}, test_size {test_size}, seed {seed}: "
            "train_size must be 1 or more, the others 0 or more"
        )
    # Held-out parts first: in a random split they stay when only train_size changes.
    sizes = [test_size, val_size, train_size]
    n_frames = len(frames) if rows is None else len(rows)
    if kind != "molecule" and sum(sizes) > n_frames:
        fitting = usual_sizes(n_frames)
        words = zip(("train", "val", "test"), fitting, strict=True)
        take = f"take {' '.join(f'data.{part}_size={n}' for part, n in words)}"
        raise UserError(
            f"train {train_size} + val {val_size} + test {test_size} frames do not fit: there are "
            f"{n_frames}; {take if sum(fitting) <= n_frames else 'each part needs one at least'}"
        )
    pool = _Pool.of(frames, rows)
    _check_elements(pool, train_size)
    rng = Generator(PCG64([seed, _STREAM]))
    for _ in range(_ATTEMPTS):
        (test, val, train), others = _KINDS[kind](pool, sizes, rng)
        seen = pool.present[train].any(axis=0)
        unseen = pool.species[pool.present[np.concatenate([test, val])].any(axis=0) & ~seen]
        if not len(unseen):  # nearly always the first
            others = others[~pool.present[others][:, ~seen].any(axis=1)]
            held_out = np.concatenate([test, others])[:held_out_size]
            return Split(train=train, val=val, test=test, held_out=np.sort(held_out))
    raise UserError(
        f"split={kind}: no training part holds {chemical_symbols[unseen[0]]}, which held-out "
        "frames do; take split=random, or more training frames"
    )


def _check_elements(pool: _Pool, train_size: int) -> None:
    """Refuse an element that training would see less than once, whatever the seed.

    A seed would then decide whether training can start; above, it is drawn until it can.
    """
    counts = pool.present.sum(axis=0)
    for number, count, present in zip(pool.species, counts, pool.present.T, strict=True):
        if count * train_size < len(pool):
            raise UserError(
                f"{chemical_symbols[number]} is in {count} of the {len(pool)} frames, too few to "
                f"be among {train_size} training frames for every seed; leave these frames out "
                f"(frame {pool.index[np.argmax(present)]}, counted from 0, is the first), "
                "or add some with that element"
            )


def _random(frames: _Pool, sizes: list[int], rng: Generator) -> Drawn:
    order = rng.permutation(len(frames))
    *parts, others = np.split(order, np.cumsum(sizes))
    return parts, others[::-1]  # from the end on: the same ones when only train_size changes


def _blocks(frames: _Pool, sizes: list[int], rng: Generator) -> Drawn:
    # Time along one axis, molecules further apart on it than any gap.
    molecule = np.unique(frames.molecule, return_inverse=True)[1]
    time = frames.index - frames.index.min() + molecule * (np.ptp(frames.index) + GAP + 1)
    n_blocks = max(len(frames) // _BLOCK, 10)
    block = np.empty(len(frames), dtype=np.int64)
    block[np.argsort(time, kind="stable")] = np.arange(len(frames)) * n_blocks // len(frames)
    for _ in range(_ATTEMPTS):
        shares = _shares(n_blocks, sizes, rng)
        pools = _apart(time, [np.flatnonzero(np.isin(block, share)) for share in shares])
        if all(len(pool) >= size for pool, size in zip(pools, sizes, strict=True)):
            return _drawn(pools, sizes, rng)
    raise UserError(
        f"split 'blocks' has no room for train {sizes[2]} + val {sizes[1]} + test {sizes[0]} "
        f"frames: of {len(frames)} it leaves out {GAP} between parts; ask for fewer, or take "
        "split=random"
    )


def _apart(time: IntArray, parts: list[IntArray]) -> list[IntArray]:
    """The parts without their frames that are within the gap of an earlier part."""
    kept: list[IntArray] = []
    for part in parts:
        earlier = np.sort(time[np.concatenate(kept)]) if kept else time[:0]
        kept.append(part[_distance(time[part], earlier) > GAP])
    return kept


def _distance(time: IntArray, sorted_others: IntArray) -> IntArray:
    """How far each time is from the nearest of the others; beyond any gap where there are none."""
    if len(sorted_others) == 0:
        return np.full(len(time), GAP + 1)
    after = np.searchsorted(sorted_others, time)
    left = sorted_others[np.maximum(after - 1, 0)]
    right = sorted_others[np.minimum(after, len(sorted_others) - 1)]
    return np.minimum(np.abs(time - left), np.abs(time - right))


def _molecules(frames: _Pool, sizes: list[int], rng: Generator) -> Drawn:
    names, molecule = np.unique(frames.molecule, return_inverse=True)
    needed = sum(size > 0 for size in sizes)
    if len(names) < needed:
        raise UserError(
            f"split 'molecule' needs {needed} molecules, one for each part; the {len(frames)} "
            f"frames are of {len(names)}"
        )
    shares = _shares(len(names), sizes, rng)
    return _drawn([np.flatnonzero(np.isin(molecule, share)) for share in shares], sizes, rng)


def _drawn(pools: list[IntArray], sizes: list[int], rng: Generator) -> Drawn:
    """So many frames of each pool, or all of them; and the rest of the first pool, shuffled."""
    parts = [
        rng.choice(pool, min(size, len(pool)), replace=False)
        for pool, size in zip(pools, sizes, strict=True)
    ]
    # A stream of its own leaves what is drawn next as it is.
    return parts, rng.spawn(1)[0].permutation(np.setdiff1d(pools[0], parts[0]))


def _shares(n: int, sizes: list[int], rng: Generator) -> list[IntArray]:
    """Divide n units (>= parts) at random in proportion to sizes, one at least where size > 0."""
    shares = [max(1, round(n * size / sum(sizes))) if size else 0 for size in sizes[:-1]]
    while sum(shares) >= n:
        shares[int(np.argmax(shares))] -= 1
    return np.split(rng.permutation(n), np.cumsum(shares))


_KINDS: dict[str, Callable[[_Pool, list[int], Generator], Drawn]] = {
    "random": _random,
    "blocks": _blocks,
    "molecule": _molecules,
}
