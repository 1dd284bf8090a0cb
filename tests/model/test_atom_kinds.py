"""Atoms in like surroundings: who is like whom, and that it changes nothing but the time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from deepset_bench.model.atom_kinds import with_kinds
from deepset_bench.model.batches import Tables
from deepset_bench.molecules.frames import Frames
from deepset_bench.testing import close
from tests import toy
from tests.model.physics import configuration, make_potential, smooth_molecule, training_step

CUTOFF = 3.0


def described(tables: Tables, frame: int, atom: int, depth: int) -> tuple:
    """All that a layer after `depth` others can know of an atom, written out."""
    number = int(tables.numbers[frame, atom])
    if depth == 0:
        return (number,)
    around = tables.neighbours[frame, atom][tables.pair[frame, atom]].tolist()
    parts = sorted(described(tables, frame, j, depth - 1) for j in around)
    return (described(tables, frame, atom, depth - 1), *parts)


def chains(noise: float = 0.08) -> Frames:
    """Of two lengths, so that there is padding."""
    return Frames.concatenate([toy.frames(2, 3, noise=noise), toy.frames(4, 5, noise=noise)])


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("slots", [1 << 20, 60])
def test_kinds_are_what_layers_can_tell_apart(depth, dense, slots, monkeypatch):
    monkeypatch.setattr("deepset_bench.model.batches.DENSE", float("inf") if dense else 0.0)
    monkeypatch.setattr("deepset_bench.model.atom_kinds.SLOTS", slots)
    monkeypatch.setattr("deepset_bench.model.atom_kinds.MOST", 1000)
    plain = Tables.build(chains(), CUTOFF)
    tables = with_kinds(plain, depth)
    M, n = tables.numbers.shape
    words = [described(plain, frame, atom, depth) for frame in range(M) for atom in range(n)]
    kinds = tables.kind.flatten().tolist()
    pairs = set(zip(words, kinds, strict=True))
    assert len(pairs) == len(set(words)) == len(set(kinds)) == len(tables.kind_numbers)
    assert 3 < len(set(kinds)) < len(kinds)
    j, i = tables.kind_edges.tolist()
    for frame, atom in np.ndindex(M, n):
        kind = int(tables.kind[frame, atom])
        assert tables.kind_numbers[kind] == tables.numbers[frame, atom]
        # Of neighbours' kinds, what their own layers, one fewer, tell apart.
        of_kind = {k: word[0] for k, word in zip(kinds, words, strict=True)}
        there = plain.neighbours[frame, atom][plain.pair[frame, atom]].tolist()
        wanted = sorted(described(plain, frame, other, depth - 1) for other in there)
        found = sorted(of_kind[a] for a, b in zip(j, i, strict=True) if b == kind)
        assert found == wanted


def test_a_set_of_too_many_kinds_has_none(monkeypatch):
    plain = Tables.build(chains(noise=0.2), CUTOFF)
    count = len(with_kinds(plain, 2).kind_numbers)
    for most, there in ((count, True), (count - 1, False)):
        monkeypatch.setattr("deepset_bench.model.atom_kinds.MOST", most)
        assert (with_kinds(plain, 2).kind is not None) == there


def test_pairs_that_depend_on_the_batch_make_no_kinds():
    tables = Tables.build(chains(), CUTOFF, every_second=True)
    assert with_kinds(tables, 1) is tables


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("columns", [0, 1000])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(
    "overrides", [("gnn=sage",), ("gnn=sage3",), ("gnn=edge", "aggregation=max")]
)
def test_a_step_is_the_same(overrides, dense, columns, monkeypatch):
    """Energies, forces and gradients, against the reference; kinds as columns and otherwise."""
    monkeypatch.setattr("deepset_bench.model.batches.DENSE", float("inf") if dense else 0.0)
    monkeypatch.setattr("deepset_bench.model.deepset.fused.COLUMNS", columns)
    config = configuration(*overrides)
    small, large = (smooth_molecule(n, config.cutoff, config.gating.experts) for n in (5, 7))
    frames = [small, large, small, large]
    tables = Tables.build(Frames.concatenate(frames), config.cutoff)
    prepared = make_potential(config).prepare(tables, again=True)
    assert prepared.kind is not None
    s = len(prepared.kind_numbers) if columns else 2
    assert prepared.features.shape[-1] == prepared.slopes.shape[-1] + 2 * s
    (predicted, gradients), (right, gradients_0) = (
        training_step(config, form, frames, again=True) for form in ("fused", "reference")
    )
    for found, expected in zip(predicted, right, strict=True):
        close(found, expected, 1e-10)
    assert gradients.keys() == gradients_0.keys()
    for name, gradient in gradients_0.items():
        scale = max(np.abs(gradient).max(), 1e-3)
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("overrides", [(), ("gnn=gat",)])
def test_layers_that_do_not_promise_it_see_every_atom(overrides):
    tables = Tables.build(chains(), CUTOFF)
    assert make_potential(configuration(*overrides)).prepare(tables, again=True).kind is None


def test_selections_with_kinds_of_their_own_are_put_together_without(monkeypatch):
    potential = make_potential(configuration("gnn=sage"))
    plain = Tables.build(chains(), CUTOFF)
    parts = [
        replace(plain, **{n: getattr(plain, n)[rows] for n in plain._tensor_fields()})
        for rows in (slice(0, 3), slice(3, 8))
    ]
    whole = Tables.concatenate([potential.prepare(part, again=True) for part in parts])
    assert whole.kind is None
    again, direct = (potential.prepare(t, again=True) for t in (whole, plain))
    for name in direct._tensor_fields():
        assert torch.equal(getattr(again, name), getattr(direct, name)), name
