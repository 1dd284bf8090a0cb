"""Variants of this study's own: a basis, a layer and a network, to be changed or deleted.

Each is held to the physics checks of every other: `bench check RUN` examines one that is trained.
"""

import torch
from torch import nn

from deepset_bench.variants import graph_layer, model, radial_basis


@radial_basis("bessel")
class Bessel(nn.Module):
    """Spherical Bessel functions that vanish at the cutoff."""

    def __init__(self, size: int, cutoff: float):
        super().__init__()
        self.register_buffer("k", torch.arange(1, size + 1) * torch.pi / cutoff, persistent=False)

    def forward(self, d):  # (...) distances in angstrom -> (..., size)
        return torch.sin(d[..., None] * self.k) / d[..., None]


@graph_layer("summed")
class Summed(nn.Module):
    """What an atom's neighbours sum up to, through a small network."""

    def __init__(self, width: int, hidden: int = 32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, width))

    def forward(self, x, edge_index):  # (N, width), (2, E) -> (N, width)
        source, target = edge_index
        return self.net(torch.zeros_like(x).index_add(0, target, x[source]))


@model("my_net")
class MyNet(nn.Module):
    """Atoms that hear of their neighbours through filters of the distance, layer by layer."""

    def __init__(self, width: int = 64, layers: int = 3, *, cutoff: float):
        super().__init__()
        self.embedding = nn.Embedding(100, width)
        self.filters = nn.ModuleList(nn.Linear(16, width) for _ in range(layers))
        self.out = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        self.register_buffer("centres", torch.linspace(0.5, cutoff, 16))
        self.cutoff = cutoff

    def forward(self, numbers, vectors, edge_index):  # (N,), (E, 3), (2, E) -> (N,) energies
        source, target = edge_index
        d = vectors.norm(dim=-1, keepdim=True)
        fade = torch.where(d < self.cutoff, (torch.cos(torch.pi * d / self.cutoff) + 1) / 2, 0.0)
        phi = torch.exp(-4 * (d - self.centres) ** 2) * fade
        x = self.embedding(numbers)
        for layer in self.filters:
            x = x + torch.zeros_like(x).index_add(0, target, layer(phi) * fade * x[source])
        return self.out(x).squeeze(-1)
