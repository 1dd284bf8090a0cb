"""Loggers beside metrics.csv: what they record, where, and that none of them ends a run."""

from __future__ import annotations

import shlex
import struct
import sys
from collections import defaultdict
from dataclasses import fields
from typing import Any

import pytest
import wandb
from wandb.proto.wandb_internal_pb2 import Record

from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.training.loggers import Loggers
from deepset_bench.training.loop import Epoch
from deepset_bench.training.train import Outcome
from deepset_bench.training.weights_and_biases import wandb_mode
from tests.test_cli import inside
from tests.training.test_train import Killed, stop_at
from tests.training.tiny import OVERRIDES, asked, assert_same_run, metrics, run

BRIEF = asked("trainer.epochs=2")
OFFLINE = "logger.wandb=offline"
RESULT = {
    "status": "done",
    "best_epoch": 2,
    "parameters": 10,
    "epochs": 2,
    "wall_seconds": 1.5,
    "data_verdict": {"verdict": "suspect", "findings": []},
    "metrics": {"test": {"energy_mae_ev": 0.25, "molecules": {}}, "ood": {"energy_mae_ev": None}},
    "baselines": {"test": {"energy_mae_ev": 0.5}},
}
FINAL = {
    "status": "done",
    "best_epoch": 2,
    "parameters": 10,
    "epochs": 2,
    "wall_seconds": 1.5,
    "data_verdict": "suspect",
    "test/energy_mae_ev": 0.25,
    "trivial/test/energy_mae_ev": 0.5,
}


def row(epoch: int) -> Epoch:
    return Epoch(epoch, *([0.5 / epoch] * (len(fields(Epoch)) - 1)))


class FakeRun:
    """A run of W&B that keeps what it is given and fails where it is told to."""

    url = "https://wandb.example/run"

    def __init__(self, settings: Any, config: dict[str, Any], fails_at: str) -> None:
        self.settings, self.config, self.fails_at = settings, config, fails_at
        self.rows: list[dict[str, Any]] = []
        self.summary = self
        self.final: dict[str, Any] = {}
        self.exit_code: int | None = None

    def _may_fail(self, at: str) -> None:
        if self.fails_at == at:
            raise OSError(28, "No space left on device")

    def log(self, row: dict[str, Any], step: int) -> None:
        self._may_fail("log")
        assert row["epoch"] == step
        self.rows.append(row)

    def update(self, final: dict[str, Any]) -> None:
        self._may_fail("summary")
        self.final |= final

    def finish(self, exit_code: int) -> None:
        self._may_fail("finish")
        self.exit_code = exit_code


class FakeWandB:
    """In the place of `wandb.init`; `refuses` are modes that cannot be started."""

    def __init__(self) -> None:
        self.fails_at = ""
        self.refuses: tuple[str, ...] = ()
        self.runs: list[FakeRun] = []

    def init(self, settings: Any, config: dict[str, Any]) -> FakeRun:
        if settings.mode in self.refuses:
            raise wandb.errors.CommError("Timed out while retrying:\nconnection refused")
        self.runs.append(FakeRun(settings, config, self.fails_at))
        return self.runs[-1]


@pytest.fixture
def fake(monkeypatch, tmp_path) -> FakeWandB:
    """W&B without its process; nobody has logged in."""
    for name in ("NETRC", "HOME", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "nobody"))
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    wandb.teardown()  # what it has read of the environment
    fake = FakeWandB()
    monkeypatch.setattr(wandb, "init", fake.init)
    yield fake
    wandb.teardown()


@pytest.fixture
def login(monkeypatch) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: True)


def started(*overrides: str, said: list[str] | None = None, epochs_done: int = 0) -> Loggers:
    """Loggers of a run of the set `tiny` that trains nothing."""
    wanted = experiment([*OVERRIDES, *overrides])
    folder = run_folder(wanted)
    folder.write_config(wanted)
    return Loggers(folder, wanted, epochs_done, ([] if said is None else said).append)


def whole(loggers: Loggers) -> None:
    for epoch in (1, 2):
        loggers.epoch(row(epoch))
    loggers.result(RESULT)
    loggers.close()


# --- W&B ---------------------------------------------------------------------------------------


def records(folder: RunFolder) -> dict[str, list[Any]]:
    """What a run of W&B has written, by kind: records in LevelDB's log format."""
    (path,) = folder.path.glob("wandb/offline-run-*/run-*.wandb")
    content, place, piece = path.read_bytes(), 7, b""  # behind the header of the file
    found: dict[str, list[Any]] = defaultdict(list)
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:  # no header of a record crosses the end of a block
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        piece += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            record = Record.FromString(piece)
            name = record.WhichOneof("record_type")
            found[name].append(getattr(record, name))
            piece = b""
    return found


def test_stacked_seeds_are_runs_of_wandb_side_by_side(tiny, monkeypatch, capfd):
    """With the real W&B, which needs no network for this.

    Every second edge: seeds with open loggers as if stacked, without the seconds of tracing them.
    """
    monkeypatch.setenv("WANDB_RUN_GROUP", "width")
    arguments = [*BRIEF, "logger=wandb", "stack=2", "condition.edges=every_second"]
    status, out, err = inside(monkeypatch, capfd, "train", *arguments)
    wandb.teardown()  # waits until all is on disk
    assert (status, err) == (0, "")
    folders = [run_folder(one) for one in experiment(arguments).seeds()]
    lines = [line for line in out.splitlines() if line.startswith("W&B: recorded offline; ")]
    assert len(lines) == 2
    ids = set()
    for line, folder in zip(lines, folders, strict=True):
        assert line.removeprefix("W&B: ") in folder.log.read_text()
        found = records(folder)
        started = found["run"][0]
        ids.add(started.run_id)
        assert (started.project, started.run_group) == ("deepset-bench", "width")
        assert started.display_name == "/".join(folder.path.parts[-4:])[-128:]
        assert set(started.tags) == {"corrected", "tiny", folder.path.parent.name[:64]}
        assert "trainer" in {entry.key for entry in started.config.update}
        names = [{"/".join(i.nested_key) or i.key for i in h.item} for h in found["history"]]
        assert [h.step.num for h in found["history"]] == [1, 2]
        assert "val_loss" in names[0]
        last = {"/".join(i.nested_key) or i.key for s in found["summary"] for i in s.update}
        assert {"test/energy_mae_ev", "trivial/val/energy_mae_ev", "data_verdict"} <= last
        assert found["exit"][0].exit_code == 0
        assert folder.result()["status"] == "done"
    assert len(ids) == 2


def test_a_run_that_is_logged_is_the_same_run(tiny, fake, tmp_path):
    logged = run(OFFLINE, "logger=wandb", "trainer.epochs=2")
    (there,) = fake.runs
    losses = [line["val_loss"] for line in there.rows]
    assert losses == metrics(logged.folder)["val_loss"].astype(float).tolist()
    test = logged.result["metrics"]["test"]["energy_mae_ev"]
    assert there.final["test/energy_mae_ev"] == test
    assert there.exit_code == 0
    assert_same_run(logged.folder, run(f"runs_dir={tmp_path}/csv", "trainer.epochs=2").folder)


@pytest.mark.parametrize("stage", ["log", "summary", "finish"])
def test_a_failing_wandb_is_one_line_and_the_run_goes_on(tiny, fake, monkeypatch, capsys, stage):
    fake.fails_at = stage
    arguments = [*BRIEF, "logger=wandb", OFFLINE]
    status, out, err = inside(monkeypatch, capsys, "train", *arguments)
    assert (status, err) == (0, "")
    said = [line for line in out.splitlines() if "No space left" in line]
    folder = run_folder(experiment(arguments))
    assert len(said) == 1
    assert said[0].startswith("W&B: ")
    assert said[0] in folder.log.read_text()
    assert folder.result()["status"] == "done"
    assert len(metrics(folder)) == 2


def test_without_a_login_it_is_recorded_offline(tiny, fake):
    said: list[str] = []
    whole(started("logger=wandb", said=said))
    (line,) = said
    assert line.startswith("W&B: no login; `wandb login` makes one; recorded offline; to send it: ")
    assert f"wandb sync {fake.runs[0].settings.sync_dir}" in line.replace("'", "")
    assert fake.runs[0].settings.mode == "offline"
    assert fake.runs[0].final == FINAL


def test_without_a_network_it_is_recorded_offline(tiny, fake, monkeypatch):
    def login(**_: Any) -> bool:
        raise wandb.errors.AuthenticationError("no answer from the server")

    monkeypatch.setattr(wandb, "login", login)
    said: list[str] = []
    whole(started("logger=wandb", said=said))
    assert said[0].startswith("W&B: no answer from the server; recorded offline; ")
    assert len(fake.runs[0].rows) == 2


def test_a_run_that_the_server_refuses_is_recorded_offline(tiny, fake, login):
    """Under another id: W&B's process holds on to that of a run that could not be started."""
    ids: list[str] = []
    init = fake.init

    def tried(settings: Any, config: dict[str, Any]) -> FakeRun:
        ids.append(settings.run_id)
        return init(settings, config)

    fake.refuses = ("online",)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wandb, "init", tried)
        said: list[str] = []
        whole(started("logger=wandb", said=said))
    assert said[0].startswith("W&B: Timed out while retrying: connection refused; recorded offline")
    assert len(set(ids)) == 2
    assert 0 < fake.runs[0].settings.init_timeout <= 60  # a sweep of many runs waits as often


def test_where_nothing_can_be_started_the_run_goes_on_alone(tiny, fake, login):
    fake.refuses = ("online", "offline")
    said: list[str] = []
    whole(started("logger=wandb", said=said))
    assert said == [
        "W&B: Timed out while retrying: connection refused; "
        "the run is unharmed, metrics.csv has every epoch"
    ]


def test_what_could_not_be_sent_in_time_can_be_sent_later(tiny, fake, login, monkeypatch):
    def finish(self: FakeRun, exit_code: int) -> None:
        assert self.settings.finish_timeout > 0
        assert self.settings.finish_timeout_raises
        raise TimeoutError("Timed out finishing run.")

    monkeypatch.setattr(FakeRun, "finish", finish)
    said: list[str] = []
    whole(started("logger=wandb", said=said))
    assert said[0] == f"W&B: {FakeRun.url}"
    sync = f"wandb sync --include-online {shlex.quote(str(fake.runs[0].settings.sync_dir))}"
    assert said[1:] == [f"W&B: not everything was sent; to send the rest: {sync}"]


@pytest.mark.parametrize(
    ("wanted", "said", "mode"),
    [
        ("online", "", "online"),
        ("online", "online", "online"),
        ("online", "run", "online"),
        ("online", "offline", "offline"),
        ("online", "dryrun", "offline"),
        ("offline", "", "offline"),
        ("offline", "online", "offline"),
        ("offline", "disabled", "disabled"),
        ("online", "disabled", "disabled"),
    ],
)
def test_the_more_reserved_of_configuration_and_environment(monkeypatch, wanted, said, mode):
    monkeypatch.setenv("WANDB_MODE", said)
    assert wandb_mode(wanted) == mode


def test_disabled_is_nothing_at_all(tiny, fake, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    status, out, err = inside(monkeypatch, capsys, "train", *BRIEF, "logger=wandb")
    assert (status, err) == (0, "")
    assert "W&B" not in out
    assert not fake.runs
    assert not (run_folder(experiment(BRIEF)).path / "wandb").exists()


def test_a_mode_that_wandb_does_not_know_is_said_before_training(tiny, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "of-line")
    status, _, err = inside(monkeypatch, capsys, "train", *BRIEF, "logger=wandb")
    assert status == 2
    assert err == (
        "error: WANDB_MODE=of-line is not valid; choose from disabled, offline, online\n"
    )


def test_its_environment_holds_where_the_configuration_is_silent(tiny, fake, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    monkeypatch.setenv("WANDB_TAGS", "a,b")
    monkeypatch.setenv("WANDB_RUN_GROUP", "g" * 200)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "5")
    monkeypatch.setenv("WANDB_NOTES", "")
    for overrides in ((), ("logger.project=ours",)):
        whole(started("logger=wandb", OFFLINE, *overrides))
    theirs, ours = (run.settings for run in fake.runs)
    assert (theirs.project, ours.project) == ("theirs", "ours")
    assert theirs.run_tags == ("a", "b")
    assert theirs.run_group == "g" * 128
    assert theirs.init_timeout == 5


def test_an_interrupted_run_continues_its_run_of_wandb(tiny, fake, monkeypatch):
    def ids() -> list[str]:
        return [there.settings.run_id for there in fake.runs]

    logged = ("logger=wandb", OFFLINE)
    with pytest.raises(Killed):
        run(*logged, on_epoch=stop_at(2))
    run(*logged)
    assert ids()[0] == ids()[1]
    assert [there.exit_code for there in fake.runs] == [1, 0]
    assert all(there.settings.resume == "allow" for there in fake.runs)
    steps = [[line["epoch"] for line in there.rows] for there in fake.runs]
    assert steps == [[1, 2], [2, 3, 4]]  # W&B keeps the first of two equal ones
    run(*logged, fresh=True)
    assert ids()[2] != ids()[0]


def test_a_diverged_run_has_failed(tiny, fake):
    diverged = run("logger=wandb", OFFLINE, "trainer.learning_rate=1e18")
    assert diverged.result["status"] == "diverged"
    (there,) = fake.runs
    assert there.exit_code == 1
    assert there.final["status"] == "diverged"


@pytest.mark.parametrize("name", ["", "a/b", "50%", "x" * 129])
def test_a_project_that_wandb_does_not_take(name):
    with pytest.raises(UserError, match=r"logger.project=.*1 to 128 characters"):
        experiment(["logger=wandb", f"logger.project='{name}'"])


# --- TensorBoard -------------------------------------------------------------------------------


def accumulated(outcome: Outcome | RunFolder) -> Any:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = outcome.folder if isinstance(outcome, Outcome) else outcome
    events = module.EventAccumulator(str(folder.path))
    events.Reload()
    return events


def test_tensorboard_has_every_epoch_once_also_after_an_interruption(tiny):
    pytest.importorskip("tensorboard")
    with pytest.raises(Killed):
        run("logger=tensorboard", on_epoch=stop_at(3))
    logged = run("logger=tensorboard")
    scalars = accumulated(logged).Scalars("val_loss")
    assert [event.step for event in scalars] == [1, 2, 3, 4]
    expected = metrics(logged.folder)["val_loss"].astype(float).tolist()
    assert [event.value for event in scalars] == pytest.approx(expected, rel=1e-6)  # float32


def test_tensorboard_has_the_configuration_and_the_final_numbers(tiny):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    whole(started("logger=tensorboard"))
    folder = run_folder(experiment(OVERRIDES))
    events = accumulated(folder)
    (text,) = events.Tensors("configuration/text_summary")
    assert folder.config.read_text() in text.tensor_proto.string_val[0].decode()
    for name, value in FINAL.items():
        if not isinstance(value, str):
            (event,) = events.Scalars(name)
            assert (event.step, event.value) == (2, value)
    content = HParamsPluginData()
    plugin = events.PluginTagToContent("hparams")
    content.ParseFromString(plugin["_hparams_/session_start_info"])
    given = content.session_start_info.hparams
    assert given["trainer.epochs"].number_value == 4
    assert given["data_verdict"].string_value == "suspect"


def test_a_failing_tensorboard_is_one_line_and_the_run_goes_on(tiny, monkeypatch, capsys):
    writers = pytest.importorskip("torch.utils.tensorboard")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers.SummaryWriter, "add_scalar", full)
    status, out, err = inside(monkeypatch, capsys, "train", *BRIEF, "logger=tensorboard")
    assert (status, err) == (0, "")
    (said,) = [line for line in out.splitlines() if "No space left" in line]
    assert said.startswith("TensorBoard: ")
    assert len(metrics(run_folder(experiment(BRIEF)))) == 2


def test_a_missing_tensorboard_is_called_by_its_name(tiny, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    status, _, err = inside(monkeypatch, capsys, "train", *BRIEF, "logger=tensorboard")
    assert status == 2
    assert err == (
        "error: tensorboard is not installed; "
        "it comes with: pip install 'deepset-bench[tensorboard]'\n"
    )
