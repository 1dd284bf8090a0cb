"""Networks of other packages through everything that a run goes through."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.config import experiment
from deepset_bench.evaluation.check import check_run
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.training.compiled import traceable
from tests import toy
from tests.model.test_foreign_peers import KINDS, TORCHMD, installed
from tests.training.test_sizes import check_one_graph_of_edges
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import FOREIGN, assert_same_run, metrics, run

pytestmark = [pytest.mark.usefixtures("tiny"), installed]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_trained_goes_on_and_is_asked(kind, tmp_path):
    """Killed and resumed it is the same run to the last bit; it learns; it is asked.

    With all frames in a batch and a rate so small that the loss is linear over a step it falls.
    """
    slowly = ("trainer.learning_rate=1e-5", "trainer.schedule.warmup_steps=0")
    asked = (*FOREIGN[kind], *slowly, "trainer.batch_size=20", "data.test_size=3")
    whole = run(*asked, f"runs_dir={tmp_path}/whole")
    with pytest.raises(Killed):
        run(*asked, f"runs_dir={tmp_path}/cut", on_epoch=stop_at(3))
    resumed = run(*asked, f"runs_dir={tmp_path}/cut")
    assert_same_run(whole.folder, resumed.folder)
    assert (metrics(whole.folder)["train_loss"].astype(float).diff().dropna() < 0).all()
    package = "torchmd-net" if kind in TORCHMD else "graph-pes"
    assert package in whole.result["versions"]

    folder = whole.folder.path
    assert {f.check: f.verdict for f in check_run(folder) if f.verdict != "ok"} == {}
    frames = toy.frames(3, 1)
    expected = Ensemble([folder], "cpu")(frames)
    for m, energy in enumerate(expected.energy):
        one = frames.select([m])
        atoms = Atoms(one.numbers, one.positions, calculator=DeepSetCalculator(folder))
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-4)
        start, end = frames.offsets[m : m + 2]
        np.testing.assert_allclose(atoms.get_forces(), expected.forces[start:end], atol=1e-3)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tmd_et"])
def test_a_step_is_one_graph_for_any_number_of_edges(kind):
    """So that it can be compiled; tmd_et says that it picks edges by their values."""
    assert not traceable(experiment(FOREIGN[kind]).config)
    check_one_graph_of_edges(*FOREIGN[kind])
