"""Home folders: none, of any name, and left alone where nothing of them is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deepset_bench import composing, config
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from tests import toy
from tests.surroundings.processes import ODD, SMALL, STRANGER, benches
from tests.test_cli import ROOT


def test_help_and_import_leave_the_home_folder_alone(tmp_path):
    watch = (
        "import sys\n"
        f"def hook(event, given):\n"
        f"    if any({str(tmp_path)!r} in str(one) for one in given): print(event, given)\n"
        "sys.addaudithook(hook)\n"
        "import deepset_bench\n"
        "from deepset_bench import cli\n"
        "sys.argv = ['bench', '--help']\n"
        "cli.main()\n"
    )
    (tmp_path / ".cache/deepset_bench/conf/data").mkdir(parents=True)
    result = subprocess.run(
        [sys.executable, "-s", "-c", watch],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    assert "scalars: all, cub_sqrt" in result.stdout
    assert str(tmp_path) not in result.stdout + result.stderr


def test_a_user_without_a_home_or_a_name(stranger, own, public):
    place = public / "place"
    place.mkdir()
    os.chown(place, STRANGER, STRANGER)
    lines = ["--help", "config", f"data import own {own}"]
    nowhere = benches(lines, place, stranger)
    assert nowhere.stderr.splitlines() == [
        "error: this user has no home folder; set BENCH_DATA to a folder for data"
    ]
    for ending in ("[0] --help", "[0] config", "[2] data"):
        assert ending in nowhere.stdout
    lines = [
        f"data import own {own}",
        f"train {' '.join(SMALL)}",
        "status",
    ]
    ours = benches(lines, place, stranger, BENCH_DATA=str(place / "data"))
    assert ours.stderr == ""
    assert ours.stdout.count("\n[0] ") == len(lines)
    assert "own: 60 frames" in ours.stdout
    assert "1 run: 1 done" in ours.stdout


names = st.text(
    st.sampled_from("aé字 .,:;=+-~!?#%&@*|<>()[]{}'\"\\`\t$"), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=names)
@example(name=ODD)
@example(name="~")
@example(name="a=b,[c]{d}'e\"")
def test_data_in_a_folder_of_any_name(tmp_path, monkeypatch, name):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / name))
    catalogue.register("own", toy.frames(2, 3), {})
    for cached in (config._experiment, config._compose, composing._composed, composing._option):
        cached.cache_clear()
    assert experiment(["data=own"]).config.data.name == "own"
    assert catalogue.load("own").energy.shape == (3,)


def test_everything_in_a_folder_of_an_odd_name(own, public):
    """Clone, home, working folder and output: imported, trained, looked at."""
    home = public / ODD
    clone = home / "my [clone]"
    for folder in ("deepset_bench", "conf", "sweeps", "datasets"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", clone)
    lines = [
        f"data import own {own}",
        f"train {' '.join(SMALL)}",
        "status",
        f"tables 2 {' '.join(SMALL)} --out 'out [/x]'",
    ]
    result = benches(lines, home, PYTHONPATH=str(clone), HOME=str(home))
    assert result.stderr == ""
    assert result.stdout.count("\n[0] ") == len(lines)
    assert (home / "out [/x]" / "table_2.txt").is_file()
    assert f"own: 60 frames in {home}/.local/share/deepset_bench/own" in result.stdout
