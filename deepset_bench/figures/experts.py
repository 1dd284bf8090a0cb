"""Which expert serves which distances."""

from __future__ import annotations

from functools import partial

import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_hex

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import Trained, load_trained
from deepset_bench.figures.asked import Asked
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.predictions import Chosen, chosen
from deepset_bench.figures.style import QUIET, width
from deepset_bench.model.deepset.gate import DistanceGate
from deepset_bench.model.deepset.network import DeepSet
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.geometry import distances, pairs

_POINTS = 400
_BINS = 100
_FRAMES = 1000
"""Of the set, for the density."""


def experts(asked: Asked, *, sheet: str = "", row: str = "") -> Figure:
    """Gate weights against distance above the density of distances; a column for each condition.

    Args:
        asked: the figure.
        sheet: name of it.
        row: label of the row whose run is shown; none: the one with the least error.
    """
    of = chosen(asked, sheet, row)
    return of.figure(
        asked,
        "Expert usage against distance",
        "Weights of the gate, which add up to 1 at every distance, in the order of the experts' "
        "thresholds, against the interatomic distance in Å, up to the cutoff; dashed: every expert "
        "alike. Below: density of the distances in the data. {runs}.",
        partial(_sheet, asked, of),
    )


def _sheet(asked: Asked, of: Chosen) -> Sheet:
    trained = {condition: load_trained(folder, "cpu") for condition, folder in of.runs.items()}
    above, below = [], []
    for condition, one in trained.items():
        there = _all_distances(catalogue.load(one.config.data.name))
        there = there[there < one.config.cutoff]
        above.append(_weights(one, asked.named(condition), float(there.min())))
        below.append(_density(one, there))
    return Sheet([above, below], width(len(above)), 3.8, shares=(2.2, 1), joined=True)


def _weights(one: Trained, name: str, start: float) -> Panel:
    model = one.potential.model
    if not isinstance(model, DeepSet) or not isinstance(model.gate, DistanceGate):
        kinds = f"model={one.config.model.kind} with gating={one.config.gating.kind}"
        raise UserError(f"{kinds} has no experts that a distance chooses")
    thresholds, order = model.gate.thresholds.sort()
    d = torch.linspace(start, one.config.cutoff, _POINTS)
    with torch.no_grad():
        weights = model.gate(d)[:, order].double().numpy()
    n = len(order)
    colours = [to_hex(c) for c in matplotlib.colormaps["viridis"](np.linspace(0, 0.9, n))]
    series = [
        Series(f"expert {g + 1}", d.numpy(), weights[:, g], colour)
        for g, colour in enumerate(colours)
    ]
    alike = Series("all alike", d.numpy()[[0, -1]], np.full(2, 1 / n), QUIET, dashed=True)
    ends = f"{thresholds[0]:z.2f} to {thresholds[-1]:z.2f}".replace("-", "−")
    title = f"thresholds {ends} Å"
    return Panel(
        "distance / Å", "gate weight", [*series, alike], f"{name}: {title}" if name else title
    )


def _density(one: Trained, there: FloatArray) -> Panel:
    ends = float(there.min()), one.config.cutoff
    density, edges = np.histogram(there, _BINS, ends, density=True)
    middles = (edges[1:] + edges[:-1]) / 2
    return Panel(
        "distance / Å", "density / (1/Å)", [Series("distances", middles, density, QUIET, "area")]
    )


def _all_distances(frames: Frames) -> FloatArray:
    """Of every pair of atoms in some frames, in angstrom."""
    some = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _FRAMES)).astype(int))
    found = []
    for frame in some:
        positions = frames.positions[frames.atoms_of(int(frame))]
        found.append(distances(positions[None], *pairs(len(positions)))[0])
    return np.concatenate(found)
