"""Public models of the field on the same batch: PyG's SchNet and ViSNet."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch_geometric.nn.models import SchNet, ViSNet

from benchmarks.step import CONTENDERS, SMALL, step_of
from benchmarks.tables import Table
from benchmarks.timing import as_in_training, interleaved, milliseconds, ratio
from deepset_bench.config import experiment
from deepset_bench.training.setup import Setup, prepare


class GivenGraph(nn.Module):
    """Stands in for a peer's neighbour search, which needs a package of its own.

    Like our tables, a peer's edges are found before the step and cost it nothing.
    """

    def __init__(self, *, loops: bool) -> None:
        super().__init__()
        self.loops = loops
        self.edge_index = torch.empty(2, 0, dtype=torch.int64)

    def forward(self, positions: Tensor, batch: Tensor) -> tuple[Tensor, ...]:
        """What SchNet (edges, distances) and ViSNet (loops, and vectors as well) ask for."""
        edge_index = self.edge_index
        if self.loops:
            atoms = torch.arange(len(positions)).expand(2, -1)
            edge_index = torch.cat([edge_index, atoms], dim=1)
        vectors = positions[edge_index[0]] - positions[edge_index[1]]
        apart = edge_index[0] != edge_index[1]
        # The norm of a loop is zero and has no gradient.
        distances = torch.zeros(len(vectors)).masked_scatter(apart, vectors[apart].norm(dim=-1))
        return (edge_index, distances, vectors) if self.loops else (edge_index, distances)


def schnet(cutoff: float) -> tuple[nn.Module, GivenGraph]:
    """SchNet as published: 6 interactions of width 128."""
    graph = GivenGraph(loops=False)
    model = SchNet(hidden_channels=128, num_interactions=6, cutoff=cutoff, interaction_graph=graph)
    return model, graph


def visnet(cutoff: float) -> tuple[nn.Module, GivenGraph]:
    """A small ViSNet: l <= 1, 3 layers of width 64."""
    graph = GivenGraph(loops=True)
    model = ViSNet(lmax=1, hidden_channels=64, num_layers=3, cutoff=cutoff)
    model.representation_model.distance = graph
    return model, graph


def step_of_peer(
    make: Callable[[float], tuple[nn.Module, GivenGraph]], setup: Setup, cutoff: float, size: int
) -> tuple[Callable[[int], object], int]:
    """The same step for a peer, and its number of parameters: energies, forces, both losses."""
    torch.manual_seed(0)
    model, graph = make(cutoff)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    part = setup.parts["train"]
    owner = torch.arange(size).repeat_interleave(part.tables.numbers.shape[1])

    def step(number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        frames = torch.randperm(len(part), generator=generator)[:size]
        batch = part.tables.gather(frames)
        graph.edge_index = batch.edge_index()
        optimizer.zero_grad()
        positions = batch.positions.float().requires_grad_()
        out = model(batch.numbers, positions, owner)
        energy = (out[0] if isinstance(out, tuple) else out).flatten()
        (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=True)
        energy_error = energy - part.energy[frames]
        forces_error = -gradient - part.forces[frames].flatten(0, 1)
        loss = 0.2 * energy_error.square().mean() + 0.8 * forces_error.square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    return step, sum(p.numel() for p in model.parameters())


def measure(threads: int, repeats: int) -> list[Table]:
    """Time per step beside our own forms, at 20 frames."""
    as_in_training(threads)
    config = experiment([*SMALL, "form=reference"]).config
    setup, size = prepare(config), config.trainer.batch_size
    parameters, steps = {}, {}
    for contender in CONTENDERS[:2]:
        step = step_of(contender, [])
        assert step is not None
        steps[f"ours, {contender.name}"] = step
        parameters[f"ours, {contender.name}"] = sum(p.numel() for p in setup.potential.parameters())
    for name, make in (
        ("SchNet (128, 6 interactions)", schnet),
        ("ViSNet (l ≤ 1, 64, 3 layers)", visnet),
    ):
        steps[name], parameters[name] = step_of_peer(make, setup, config.cutoff, size)
    seconds = interleaved(steps, repeats)
    ours = seconds["ours, reference"]
    rows = [
        [name, f"{parameters[name]:,}", milliseconds(times), f"{ratio(ours, times):.2f}"]
        for name, times in seconds.items()
    ]
    return [
        Table(
            f"Peers, {threads} thread{'s' * (threads > 1)}.",
            f"The same {size} frames, the same step (energies, forces, loss, backward, clip, "
            "AdamW), neighbours known beforehand; how many times faster than our reference form; "
            f"medians of {repeats} steps.",
            ["model", "parameters", "ms", "×"],
            rows,
        )
    ]
