"""Very many runs: what is read and looked at grows with their number, and no faster."""

from __future__ import annotations

import io

import pytest

from deepset_bench import reading, runs
from deepset_bench.config import experiment
from deepset_bench.console import Console
from deepset_bench.data import catalogue
from deepset_bench.record import ENERGY_MAE
from deepset_bench.runs import RunFolder, RunsFolder, run_folder
from deepset_bench.sweep import overview
from deepset_bench.sweep.execute import Sweep, units
from deepset_bench.sweep.plan import plan
from deepset_bench.sweep.status import last_epoch, standing
from tests.sweep.test_execute import RESULT
from tests.sweep.test_executors import InThisProcess
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES

pytestmark = pytest.mark.usefixtures("tiny")
READ = reading.read_json


def done(seed: int, *overrides: str) -> RunFolder:
    """The records of a run that was never trained."""
    wanted = experiment([*OVERRIDES, *overrides, f"seed={seed}"])
    folder = run_folder(wanted)
    folder.path.mkdir(parents=True)
    folder.write_config(wanted)
    folder.write_result(RESULT)
    folder.write_status("done", "abc")
    folder.metrics.write_text("epoch,val_loss\n1,0.5\n")
    return folder


def test_seeds_of_a_variant_are_read_once_and_stay_apart(monkeypatch):
    runs._settings.cache_clear()
    folders = [done(seed) for seed in (0, 1, 12)]
    settings = [folder.settings() for folder in folders]
    assert [one["seed"] for one in settings] == [0, 1, 12]
    assert all(one["trainer.epochs"] == 4 for one in settings)
    assert runs._settings.cache_info().misses == 1
    settings[0]["trainer.epochs"] = 5  # whoever reads it may change it
    assert folders[0].settings()["trainer.epochs"] == 4
    folders[0].config.write_text(folders[0].config.read_text().replace("seed: 0", "seed: none"))
    assert folders[0].settings() == {}


@pytest.mark.parametrize("rows", [0, 1, 3, 500])
def test_the_last_epoch_of_a_long_run_is_found_at_its_end(rows):
    folder = done(0)
    text = "epoch,val_loss\n" + "".join(f"{n},{n / 7}\n" for n in range(1, rows + 1))
    folder.metrics.write_text(f"{text}{rows + 1},0.")  # and one that is being written
    assert last_epoch(folder) == ({"epoch": rows, "val_loss": rows / 7} if rows else {})
    assert len(folder.last_epochs()) <= 4096 + 15


def test_of_a_run_that_is_done_two_small_files_are_read(monkeypatch):
    folder = done(0)
    read = []
    monkeypatch.setattr(runs, "read_json", lambda path, *_: read.append(path) or READ(path, *_))
    for method in ("settings", "last_epochs", "epochs"):
        monkeypatch.setattr(RunFolder, method, lambda _: pytest.fail("one more file"))
    stands = standing(folder)
    assert [path.name for path in read] == ["status.json", "result.json"]
    assert (stands.state, stands.epoch) == ("done", RESULT["epochs"])
    assert stands.energy == RESULT["metrics"]["val"][ENERGY_MAE]  # of the epoch that it keeps


def test_runs_are_found_where_they_are_and_not_in_the_store_of_mlflow():
    folders = [done(0), done(1), done(0, "scalars=sq")]
    root = folders[0].path.parents[3]
    other = root / "mlruns" / "1" / "2"
    other.mkdir(parents=True)
    (other / "status.json").touch()
    assert RunsFolder(root).every() == sorted(folders, key=lambda one: one.path)


def test_status_reads_each_file_once(monkeypatch, capsys):
    read: list[str] = []
    json_of = reading.json_of

    def noting(text, name, *more):
        read.append(name)
        return json_of(text, name, *more)

    monkeypatch.setattr(reading, "json_of", noting)
    for seed in range(4):
        done(seed)
    status, out, _ = inside(monkeypatch, capsys, "status")
    assert (status, out.splitlines()[-1]) == (0, "4 runs: 4 done")
    assert sorted(read) == ["result.json"] * 4 + ["status.json"] * 4


def test_seeds_of_a_variant_are_the_runs_that_they_were():
    """Identities and configurations as if each were asked for by itself."""
    wanted = plan([*OVERRIDES, "scalars=none,sq", "data.split_seed=0,1"], 3).runs
    assert len({run.identity for run in wanted}) == 12
    for run in wanted:
        alone = experiment(run.overrides)
        assert run.experiment == alone
        assert run.experiment.determinants == alone.determinants


def test_a_sweep_looks_up_its_data_once(monkeypatch):
    asked: list[str] = []
    datasheet = catalogue.datasheet
    monkeypatch.setattr(catalogue, "datasheet", lambda name: asked.append(name) or datasheet(name))
    assert len(plan([*OVERRIDES, "scalars=none,sq"], 5).runs) == 10
    assert asked == ["tiny"]


def test_a_sweep_that_is_watched_looks_at_what_moves(monkeypatch):
    """Once for each run when it has ended, not at every run whenever one moves."""
    looked: list[int] = []
    standing = Sweep.standing
    monkeypatch.setattr(Sweep, "standing", lambda *given: looked.append(1) or standing(*given))
    monkeypatch.setattr("deepset_bench.sweep.execute._PAUSE", 0.0)

    def looks(seeds: int, name: str) -> int:
        looked.clear()
        wanted = plan([*OVERRIDES, f"scalars={name}"], seeds).runs
        sweep = Sweep(wanted, InThisProcess(1))
        stream = io.StringIO()
        with overview.watching(Console(file=stream), sweep) as watch:
            sweep.execute(watch)
        assert f"{seeds} runs: {seeds} done" in stream.getvalue()
        return len(looked)

    assert looks(12, "none") == 2 * looks(6, "sq")


def test_a_stack_holds_seeds_of_one_variant_in_the_order_of_the_first():
    wanted = plan([*OVERRIDES, "scalars=none,sq"], 3).runs  # seed by seed
    numbers = {run: number for number, run in enumerate(wanted)}
    found = [[numbers[run] for run in unit] for unit in units(wanted, 2)]
    assert found == [[0, 2], [1, 3], [4], [5]]
    assert units(wanted, 1) == [[run] for run in wanted]
