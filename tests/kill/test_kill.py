"""Some moments of what `make kill` tries at many: kills, failing machines, many at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepset_bench import holding
from deepset_bench.data import catalogue
from deepset_bench.runs import RunFolder
from tests import toy
from tests.kill import commands, machine, resume, together
from tests.kill.forks import CAN, WHY_NOT, Forks
from tests.test_cli import inside
from tests.training.tiny import asked, run

pytestmark = pytest.mark.skipif(not CAN, reason=WHY_NOT)
SEED = 7
RESUMED = ("baseline", "report")


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as started:
        yield started


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The set `tiny`."""
    home = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(home))
        catalogue.register("tiny", toy.frames(3, 60, bias=0.5), {"method": "analytic"})
    return home


@pytest.fixture(scope="module")
def made(forks, tmp_path_factory) -> commands.Place:
    return commands.prepared(forks, tmp_path_factory.mktemp("machine") / "template")


@pytest.mark.parametrize("name", RESUMED)
def test_a_run_that_is_killed_goes_on_bit_for_bit(name, forks, data, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(data))
    case = resume.case(forks, tmp_path / "case", resume.EAGER[name])
    assert resume.killed_in_turn(case, tmp_path / "killed", SEED + zlib.crc32(name.encode())) >= 4


def test_a_clock_that_jumps_changes_nothing(forks, data, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(data))
    case = resume.case(forks, tmp_path / "case", ())
    place = tmp_path / "place"
    place.mkdir()
    jumping = {"BENCH_RUNS": str(place / "runs"), "FAULT_CLOCK": "90000"}
    ended = forks.bench(*case.words, below=place, environment=jumping)
    assert (ended.status, ended.err) == (0, "")
    case.assert_same(place)


@pytest.mark.parametrize("name", ["train", "data import", "study tune"])
def test_a_failing_machine_is_one_line_and_costs_nothing(name, made):
    assert [said for said in machine.problems(made, name, 4, SEED) if said] == []


@pytest.mark.parametrize(("name", "kilobytes"), [("train", 10), ("data import", 60)])
def test_a_disk_that_is_nearly_full(name, kilobytes, made, tmp_path):
    try:
        assert machine.on_disk_of(made, name, kilobytes, tmp_path) == ""
    except PermissionError:
        pytest.skip("only root can mount, and not in every container")


@pytest.mark.parametrize("name", ["data import, packed"])
def test_no_room_for_temporary_files(name, made):
    assert machine.full_tmpdir(made, name) == ""


@pytest.mark.parametrize("limit", [{"memory": 20 << 20}, {"files": 12}])
def test_little_memory_and_few_files(limit, made):
    assert machine.within(made, "train", **limit) == ""


@pytest.mark.parametrize(
    ("name", "variable", "place", "expected"),
    [
        ("train", "BENCH_RUNS", "own.xyz", "Not a directory"),
        ("train", "BENCH_RUNS", "x" * 300, "File name too long"),
        ("data import", "BENCH_DATA", "own.xyz/data", "Not a directory"),
    ],
)
def test_places_that_are_none(name, variable, place, expected, made):
    where = {variable: str(made.home / place)}
    ended = made.run(commands.COMMANDS[name], made.home, others=where)
    assert (ended.status, ended.err.count("\n")) == (1, 1)
    assert expected in ended.err


def test_of_imports_at_once_one_wins_and_the_others_say_so(forks, tmp_path):
    assert together.imports(forks, tmp_path, 3) == [0, 2, 2]


def test_of_fetches_and_imports_at_once_one_wins(made):
    """Of one name; the others say that it is taken, or is being fetched."""
    place = made.copy("at once")
    words = [["data", "fetch", "published"], ["data", "import", "published", "own.xyz"]]
    ended = made.at_once(2 * words, place)
    assert sorted(one.status for one in ended) == [0, 2, 2, 2]
    for one in ended:
        assert (one.status == 0) == (one.err == "")
        assert one.err.count("\n") <= 1
    shown = made.run(["data", "check", "published", "--sample", "0"], place)
    assert "60 frames" in shown.out
    assert shown.err == ""


def test_a_set_that_is_being_replaced_is_always_there(forks, tmp_path):
    assert [said for said in together.replaced(forks, tmp_path, 3, SEED) if said] == []


@pytest.mark.usefixtures("tiny")
def test_fresh_while_another_trains(monkeypatch, capsys):
    """It deletes nothing, and says who has it."""
    folder = run("trainer.epochs=1").folder
    before = {path: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    with holding.Hold(folder.path):
        words = asked("trainer.epochs=1")
        status, _, err = inside(monkeypatch, capsys, "train", *words, "--fresh")
        assert (status, err.count("\n")) == (2, 1)
        assert "is being trained by another process" in err
        status, _, err = inside(monkeypatch, capsys, "sweep", *words, "--fresh", "--no-wait")
        assert (status, err) == (0, "")
    assert before == {path: path.read_bytes() for path in before}


def test_a_run_is_deleted_in_an_order_in_which_it_may_be_left(tmp_path, monkeypatch):
    """Not done any more, then without checkpoints; what is left is a run until nothing is."""
    names = ("status.json", "result.json", "config.yaml", "metrics.csv", "best.pt", "last.pt")
    for name in (
        *names,
        "log.txt",
        "evaluation/test/errors.csv",
        "evaluation/x/.a.bench-unfinished",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    unlink, gone = Path.unlink, []
    monkeypatch.setattr(Path, "unlink", lambda path: (gone.append(path.name), unlink(path)))
    RunFolder(tmp_path).clear()
    assert list(tmp_path.iterdir()) == []
    assert gone[:2] == ["result.json", "last.pt"]
    assert [name for name in gone if name in names][-1] == "status.json"


def test_every_command_is_tried():
    """One that is new goes into `COMMANDS`, or into `SLOW`."""
    every = set(commands.leaves())
    tried = {name.partition(",")[0] for name in commands.COMMANDS | commands.SLOW}
    assert tried | set(commands.ASK_OTHERS) == every
    for name, words in (commands.COMMANDS | commands.SLOW).items():
        assert " ".join(words).startswith(name.partition(",")[0])


def test_sweeps_at_once_of_which_one_is_killed(forks, data, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(data))
    together.sweeps(forks, tmp_path, 2, 1, 2, SEED)
