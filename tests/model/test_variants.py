"""The physics of every variant that the report compares, and of the choices beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepset_bench.schema import Config
from deepset_bench.testing import FAR, SCALE, close, evaluate, joined, permuted
from tests.model.physics import Physics, configuration, make_potential, smooth_molecule

VARIANTS: dict[str, tuple[str, ...]] = {
    **{
        f"scalars-{name}": (f"scalars={name}",)
        for name in (
            "none",
            "all",
            "sq",
            "sq_cub",
            "sq_cub_tes",
            "sq_cub_tes_sqrt",
            "cub_tes_sqrt",
            "cub_sqrt",
        )
    },
    **{
        f"rbf-{name}": (f"rbf={name}",)
        for name in ("expnorm", "x2_x3", "x2_x4", "x2_x4_log", "x3_sqrt")
    },
    "gating-top_k": ("gating=top_k",),
    "gating-single": ("gating=single",),
    **{
        f"gnn-{gnn}-{aggregation}": (f"gnn={gnn}", f"aggregation={aggregation}")
        for gnn in ("sage", "edge")
        for aggregation in ("mean", "max", "sum")
    },
    "gnn-sage3": ("gnn=sage3",),
    "gnn-gat": ("gnn=gat",),
    "envelope-none": ("envelope=none",),
    "readout-invariant": ("readout=invariant",),
    "report-cub_sqrt": ("condition=report", "scalars=cub_sqrt"),
    "edge-with-scalars-top_k-none": (
        "gnn=edge",
        "aggregation=max",
        "scalars=all",
        "gating=top_k",
        "envelope=none",
    ),
}
HALVED = {
    "report-sage": ("condition=report", "gnn=sage"),
    "report-edge-scalars": ("condition=report", "gnn=edge", "scalars=cub_sqrt"),
    "report-gat": ("condition=report", "gnn=gat"),
    "report-x2_x4": ("condition=report", "rbf=x2_x4"),
    "every-second": ("condition.edges=every_second",),
}


def variants(table: dict[str, tuple[str, ...]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("config", table.values(), ids=list(table), indirect=True)


@variants(VARIANTS)
class TestVariant(Physics):
    pass


@variants({"baseline": (), "top_k": ("gating=top_k",), "gat-scalars": ("gnn=gat", "scalars=all")})
class TestVariantAsInitialised(Physics):
    """With the gate's thresholds where initialisation puts them, around zero."""

    @pytest.fixture
    def potential(self, config: Config):
        return make_potential(config, move_thresholds=False)


@variants(HALVED)
class TestHalvedEdges(Physics):
    """The report's GNN and RBF variants saw every second entry of a batch's edge list (finding 15).

    The list is [all pairs i > j of the batch ; all transposes]. With an even number of pairs half
    of them vanish in both directions; with an odd number each survives in one, alternating,
    direction. What depends on the list's order or length is lost; the rest of physics holds.
    """

    @pytest.fixture(params=[False, True], ids=["even", "odd"])
    def odd(self, request) -> bool:
        return request.param

    @pytest.fixture
    def molecule(self, config, odd):
        return smooth_molecule(7, config.cutoff, config.gating.experts, odd=odd)

    def test_permutation(self, potential, config, molecule):
        energy, _ = evaluate(potential, config, molecule)
        order = np.random.default_rng(0).permutation(len(molecule.numbers))
        new_energy, _ = evaluate(potential, config, permuted(molecule, order))
        assert abs(new_energy - energy) > 1e-3 * SCALE

    def test_two_copies_have_twice_the_energy(self, potential, config, molecule, odd):
        """Only if even: both copies then lose the same pairs; two odd ones make an even list."""
        energy, _ = evaluate(potential, config, molecule)
        both, _ = evaluate(potential, config, joined(molecule, molecule, FAR))
        assert (abs(both - 2 * energy) > 1e-3 * SCALE) == odd

    def test_two_molecules_far_apart_have_the_sum_of_their_energies(
        self, potential, config, molecule, other
    ):
        energies, _ = evaluate(potential, config, [molecule, other], alone=True)
        both, _ = evaluate(potential, config, joined(molecule, other, FAR))
        assert abs(both - energies.sum()) > 1e-3 * SCALE

    def test_a_frame_in_a_mixed_batch_equals_itself_alone(self, potential, config, molecule, other):
        frames = [other, molecule, joined(molecule, other, 4.0), other]
        together, _ = evaluate(potential, config, frames)
        alone, _ = evaluate(potential, config, frames, alone=True)
        assert np.abs(together - alone).max() > 1e-3 * SCALE

    def test_crossing_the_cutoff(self, potential, config):
        """The pair that comes or goes changes which of the others are kept."""


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("overrides", [(), ("gnn=gat",), ("model=deepset_x",), ("model=visnet",)])
def test_another_number_of_threads_changes_rounding_alone(overrides):
    config = configuration(*overrides)
    potential = make_potential(config, move_thresholds=False)
    molecule = smooth_molecule(7, config.cutoff, config.gating.experts)
    before = torch.get_num_threads()
    expected = evaluate(potential, config, molecule)
    torch.set_num_threads(before + 1)
    try:
        found = evaluate(potential, config, molecule)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(found, expected, strict=True):
        close(one, other)
