"""Variants as a person writes them: one file, imported by nothing but its name."""

import numpy as np
import torch
from ase import Atoms
from torch import nn

from deepset_bench.readers.ase_files import from_images
from deepset_bench.variants import gate, graph_layer, model, radial_basis, reader, readout, scalar


@scalar("inverse")
def inverse(d):
    return 1 / d


@radial_basis("bessel")
class Bessel(nn.Module):
    def __init__(self, size: int, cutoff: float):
        super().__init__()
        self.register_buffer("k", torch.arange(1, size + 1) * torch.pi / cutoff, persistent=False)

    def forward(self, d):
        return torch.sin(d[..., None] * self.k) / d[..., None]


@radial_basis("learned")
class Learned(nn.Module):
    """With parameters, which tables cannot hold."""

    def __init__(self, size: int, cutoff: float, narrow: float = 1.0):
        super().__init__()
        self.centres = nn.Parameter(torch.linspace(0, cutoff, size))
        self.narrow = narrow

    def forward(self, d):
        return torch.exp(-self.narrow * (d[..., None] - self.centres) ** 2)


@graph_layer("neighbours", draws_by_edge=False)
class Neighbours(nn.Module):
    def __init__(self, width: int, aggregation: str, hidden: int = 8):
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x, edge_index):
        source, target = edge_index
        summed = torch.zeros_like(x).index_add(0, target, x[source])
        return self.second(torch.tanh(self.first(summed)))


@gate("even")
class Even(nn.Module):
    """The same weight for every expert at every distance, without a slope of its own."""

    def __init__(self, experts: int):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(experts))

    def forward(self, d):
        return self.logits.softmax(-1).expand(*d.shape, -1)


@readout("norm")
class Norm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.out = nn.Linear(2 * width, 1)

    def forward(self, X, V):
        return self.out(torch.cat([X, (V * V).sum(1)], dim=-1)).squeeze(-1)


@model("my_net")
class MyNet(nn.Module):
    def __init__(self, width: int = 8, layers: int = 2, my_option: int = 1, *, cutoff: float):
        super().__init__()
        self.embedding = nn.Embedding(100, width)
        self.filters = nn.ModuleList(nn.Linear(6, width) for _ in range(layers))
        self.out = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        self.register_buffer("centres", torch.linspace(0.5, cutoff, 6))
        self.cutoff, self.my_option = cutoff, my_option

    def forward(self, numbers, vectors, edge_index):
        source, target = edge_index
        d = vectors.norm(dim=-1, keepdim=True)
        fade = torch.where(d < self.cutoff, (torch.cos(torch.pi * d / self.cutoff) + 1) / 2, 0.0)
        phi = torch.exp(-((d - self.centres) ** 2)) * fade
        x = self.embedding(numbers)
        for layer in self.filters:
            x = x + torch.zeros_like(x).index_add(0, target, layer(phi) * fade * x[source])
        return self.my_option * self.out(x).squeeze(-1)


@reader("lines of numbers", begins=rb"numbers\n")
def read_numbers(path, name, options, unlabelled):
    """One line a frame of hydrogen: distance, energy, force."""

    def images():
        for line in path.read_text().splitlines()[1:]:
            d, energy, force = map(float, line.split())
            atoms = Atoms("H2", [[0, 0, 0], [0, 0, d]], info={"energy": energy})
            atoms.set_array("forces", np.array([[0, 0, -force], [0, 0, force]]))
            yield atoms

    return from_images(images(), path, name, options, unlabelled)
