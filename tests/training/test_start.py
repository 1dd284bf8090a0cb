"""`init=RUN`: from the weights of another run; and `name=`, what a variant's folder is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.evaluation.trained import load_trained
from deepset_bench.runs import RunFolder, with_start
from deepset_bench.training.start import start_of
from tests import toy
from tests.test_cli import inside
from tests.training.tiny import (
    DEEPSET_X,
    EVEN,
    OVERRIDES,
    UNMOVED,
    asked,
    assert_same_run,
    run,
    run_seeds,
)

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def source() -> RunFolder:
    """A run to start from."""
    return run("trainer.epochs=2").folder


def weights(folder: RunFolder, name: str = "best") -> dict[str, torch.Tensor]:
    return torch.load(getattr(folder, name), weights_only=True)["potential"]


def mistake(monkeypatch, capsys, *words: str) -> str:
    status, _, err = inside(monkeypatch, capsys, "train", *asked(*words))
    assert (status, err.count("\n")) == (2, 1)
    return err


def test_a_run_starts_from_the_weights_of_another(source, monkeypatch, capsys):
    """At a learning rate of nothing its weights stay those; the scale is theirs, too."""
    words = asked(f"init={source.path}", "trainer.learning_rate=1e-30", "seed=3")
    status, out, err = inside(monkeypatch, capsys, "train", *words)
    assert (status, err) == (0, "")
    epoch = source.result()["best_epoch"]
    assert f"starts from the weights of {source.path}, epoch {epoch}, val energy MAE " in out
    (folder,) = (RunFolder(path) for path in source.path.parents[1].glob("*/seed-3"))
    before, after = weights(source), weights(folder)
    assert all(torch.equal(before[name], after[name]) for name in before)
    references = [load_trained(f.path).reference.energies.tolist() for f in (source, folder)]
    assert references[0] != references[1]  # fitted to its own training frames
    assert load_trained(folder.path).history is not None


def test_test_frames_that_the_weights_were_trained_on_are_counted(source, monkeypatch, capsys):
    """Those of another split; of its own split there are none."""
    words = (f"init={source.path}", "trainer.epochs=1", "seed=3")
    status, out, _ = inside(monkeypatch, capsys, "train", *asked(*words))
    (folder,) = (RunFolder(path) for path in source.path.parents[1].glob("*/seed-3"))
    both = set(Split.load(folder.split).test) & set(Split.load(source.split).train)
    said = f"{len(both)} of 7 test frames were training frames of init={source.path}: "
    assert (status, len(both) > 0, said in out) == (0, True, True)
    assert "data.split_seed=0 and its sizes draw its split" in out
    status, out, _ = inside(monkeypatch, capsys, "train", *asked(*words, "data.split_seed=0"))
    assert (status, "were training frames" in out) == (0, False)


def test_the_reference_is_kept_where_that_is_asked_for(source):
    kept = run(f"init={source.path}", "init_reference=kept", "seed=3", "trainer.epochs=1").folder
    energies = [load_trained(folder.path).reference.energies.tolist() for folder in (source, kept)]
    assert energies[0] == energies[1]


def test_what_a_run_starts_from_is_a_part_of_what_it_is(source):
    lines = [*OVERRIDES, f"init={source.path}"]
    first = with_start(experiment(lines))
    assert first.identity("x") != with_start(experiment(OVERRIDES)).identity("x")
    shutil.copytree(source.path, source.path.with_name("seed-7"))
    other = with_start(experiment([*OVERRIDES, f"init={source.path.with_name('seed-7')}"]))
    assert other.identity("x") == first.identity("x")  # the weights count, not where they are
    torch.save({}, source.best)
    assert with_start(experiment(lines)).identity("x") != first.identity("x")


def test_resumed_bit_for_bit_though_the_other_run_is_gone(source, tmp_path):
    words = (f"init={source.path}", "trainer.epochs=3", "init_reference=kept", "seed=1")
    whole = run(*words, f"runs_dir={tmp_path}/whole").folder

    class Stop(Exception):
        pass

    def stop(row):
        if row.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        run(*words, on_epoch=stop)
    shutil.rmtree(source.path)
    resumed = run(*words)
    assert "going on after epoch 1" in resumed.folder.log.read_text()
    assert_same_run(resumed.folder, whole)
    assert run(*words).already_done


def test_stacked_seeds_start_from_it(source):
    for outcome in run_seeds(
        f"init={source.path}", EVEN, *UNMOVED, "trainer.epochs=1", seeds=[0, 1]
    ):
        assert outcome.result["stack"] == 2
        before, after = weights(source), weights(outcome.folder)
        assert torch.equal(before["scale"], after["scale"])
        for name in before:
            torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-4)


def test_deepset_x_starts_from_its_pairs_too():
    source = run(*DEEPSET_X, "trainer.epochs=1").folder
    words = (*DEEPSET_X, f"init={source.path}", "trainer.learning_rate=1e-30", "trainer.epochs=1")
    before, after = weights(source), weights(run(*words, "seed=1").folder)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["width=12"], "width is 8 there and 12 here"),
        (["gnn=sage"], "gnn.kind is none there and sage here"),
        (["cutoff=4"], "cutoff is 5.0 there and 4.0 here"),
        (["scalars=sq"], "scalars is [] there and ['x2'] here"),
    ],
)
def test_another_network_is_one_line(words, said, source, monkeypatch, capsys):
    err = mistake(monkeypatch, capsys, f"init={source.path}", *words)
    assert err.startswith(f"error: init={source.path}: {said}")


def test_other_elements_are_one_line(source, monkeypatch, capsys):
    frames = toy.frames(3, 60)
    numbers = frames.numbers.copy()
    numbers[numbers == 1] = 9
    object.__setattr__(frames, "numbers", numbers)
    catalogue.register("fluorine", frames, {"method": "analytic"})
    err = mistake(monkeypatch, capsys, f"init={source.path}", "data=fluorine")
    assert "its weights are of the elements H, C, the training frames here hold C, F" in err


def test_no_run_there_is_one_line(monkeypatch, capsys):
    err = mistake(monkeypatch, capsys, "init=nowhere")
    assert err == "error: init=nowhere: no best.pt there; name the folder of a trained run\n"
    assert "bench config" not in mistake(monkeypatch, capsys, "init_reference=kept")


def test_weights_that_change_meanwhile_are_refused(source):
    config = with_start(experiment([*OVERRIDES, f"init={source.path}"])).config
    best = torch.load(source.best, weights_only=True)
    torch.save(best | {"epochs": 1}, source.best)
    with pytest.raises(Exception, match="is being trained and has changed"):
        start_of(config)


def test_a_name_is_that_of_the_folder(monkeypatch, capsys):
    words = asked("name=first", "trainer.epochs=1")
    assert inside(monkeypatch, capsys, "train", *words)[0] == 0
    err = mistake(monkeypatch, capsys, "name=first", "trainer.epochs=1", "width=12", "seed=1")
    assert "name=first: " in err
    assert "is another variant, with width=8 (here 12); take another name" in err
    _, out, _ = inside(monkeypatch, capsys, "status")
    assert "done        first/seed-0" in out
    unnamed = experiment([*OVERRIDES, "trainer.epochs=1"])
    assert unnamed.identity("x") == experiment(words).identity("x")


@pytest.mark.parametrize("name", ["a/b", "'.a'", "..", "x" * 81, r"'a\b'"])
def test_what_no_name_can_be(name, monkeypatch, capsys):
    assert "a folder's name has 1 to 80 bytes" in mistake(monkeypatch, capsys, f"name={name}")


def test_one_name_for_two_variants_of_a_sweep_is_a_mistake(monkeypatch, capsys):
    words = asked("name=one", "gnn=none,sage")
    status, out, err = inside(monkeypatch, capsys, "sweep", *words, "--dry-run")
    assert (status, out) == (2, "")
    assert "name=one would be two variants, which differ in gnn.kind; name each of them" in err
    assert (
        inside(monkeypatch, capsys, "sweep", *asked("name=one"), "--seeds", "2", "--dry-run")[0]
        == 0
    )


def test_weights_of_two_folders_that_end_alike_are_not_one_run(
    source, tmp_path, monkeypatch, capsys
):
    """The folder of a run is called by the end of the path that it starts from."""
    other = tmp_path / "other" / Path(*source.path.parts[-4:])
    shutil.copytree(source.path, other)
    words = asked(f"init={source.path},{other}")
    status, out, _ = inside(monkeypatch, capsys, "sweep", *words, "--dry-run")
    assert status == 0
    assert "asked for more than once: 1" in out  # the same weights
    shutil.copyfile(source.last, other / "best.pt")
    status, out, err = inside(monkeypatch, capsys, "sweep", *words, "--dry-run")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"which differ in init={source.path} and init={other}; name each of them with" in err
