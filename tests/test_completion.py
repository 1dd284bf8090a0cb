"""Shell completion: as bash splits words, and in a real bash and zsh."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

from deepset_bench.groups import groups
from tests.test_cli import ROOT, env, inside


def bash_words(line: str) -> list[str]:
    """A line as bash has it in COMP_WORDS, the last word at the cursor."""
    words = re.split(r" |(=)", line)
    found = [word for word in words[:-1] if word] + [words[-1]]
    return found[:-1] if found[-1] == "" and found[-2] == "=" else found


@pytest.fixture
def offered(monkeypatch, capsys):
    """What bash is offered for a line that ends at the cursor."""

    def ask(line: str) -> list[str]:
        words = bash_words(line)
        monkeypatch.setenv("COMP_WORDS", "\n".join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        monkeypatch.setenv("_BENCH_COMPLETE", "complete_bash")
        status, out, err = inside(monkeypatch, capsys)
        assert (status, err) == (0, "")
        return out.splitlines()

    return ask


def test_words_are_split_as_bash_does():
    assert bash_words("bench train gnn=") == ["bench", "train", "gnn", "="]
    assert bash_words("bench train gnn=sa") == ["bench", "train", "gnn", "=", "sa"]
    assert bash_words("bench train ") == ["bench", "train", ""]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bench tra", ["train"]),
        ("bench train scalars=", groups()["scalars"]),
        ("bench sweep executor=", groups()["executor"]),
        ("bench sweep executor.acc", ["executor.account=", "executor.account=null"]),
        ("bench train +scalars=cub", ["cub_sqrt", "cub_tes_sqrt"]),
        ("bench train gnn=none sc", [f"scalars={name}" for name in groups()["scalars"]]),
        ("bench train device=c", ["cpu", "cuda"]),
        ("bench config trainer.schedule.kind=", ["cosine", "plateau"]),
        ("bench train trainer.epochs=", [""]),
        (
            "bench train trainer.schedule.mi",
            ["trainer.schedule.minimum=", "trainer.schedule.minimum=0.0"],
        ),
        ("bench train data.tr", ["data.train_size=", "data.train_size=1000"]),
        ("bench train logger.tensorb", ["logger.tensorboard=false", "logger.tensorboard=true"]),
        ("bench train compile=", ["auto", "false", "true"]),
        ("bench sweep gnn=sage,e", ["sage,edge"]),
        ("bench sweep qui", ["quick"]),
        ("bench tables 2 --condition b", ["both"]),
        ("bench tables peers_l", ["peers_larger"]),
        ("bench figures data=pent", ["pent-2-ene"]),
        ("bench evaluate scan=to", ["torsion"]),
        ("bench train --fr", ["--fresh"]),
    ],
)
def test_what_bash_is_offered(line, expected, offered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sorted(offered(line)) == sorted(expected)


def test_no_word_that_is_to_be_gone_on_with_is_alone(offered):
    """Or a shell would put a space behind it."""
    for line in ("bench train tr", "bench train cut", "bench train see", "bench train width"):
        assert len(offered(line)) > 1


def test_runs_are_offered_folder_by_folder(offered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_RUNS")
    for name in (
        "tiny/corrected/baseline/seed-0",
        "tiny/corrected/sage/seed-0",
        "two/report/x/seed-1",
    ):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.yaml").touch()
    assert offered("bench check r") == ["runs/tiny/", "runs/two/"]
    tiny = "runs/tiny/corrected"
    assert offered("bench check runs/ti") == [f"{tiny}/baseline/", f"{tiny}/sage/"]
    assert offered(f"bench check {tiny}/sage/") == [f"{tiny}/sage/seed-0"]
    assert "runs/two/report/x/seed-1" in offered("bench evaluate runs/tw")


def test_variants_that_the_line_names_are_offered(offered, tmp_path, monkeypatch):
    file = tmp_path / "v.py"
    file.write_text(
        "from deepset_bench.variants import scalar\n\n\n"
        '@scalar("inverse")\ndef inverse(d):\n    return 1 / d\n'
    )
    monkeypatch.setenv("BENCH_VARIANTS", "")
    assert offered(f"bench train --variants {file} scalars=inv") == ["inverse"]


def test_completion_imports_nothing_heavy():
    asked = {"COMP_WORDS": "bench\ntrain\ntrainer.", "COMP_CWORD": "2"}
    code = (
        "import sys; sys.argv[0] = 'bench'; from deepset_bench.cli import main\n"
        "try: main()\nfinally: print({'torch', 'numpy', 'pandas', 'ase'} & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=env({**asked, "_BENCH_COMPLETE": "complete_bash"}),
    )
    assert "trainer.epochs=" in told.stdout
    assert told.stdout.endswith("set()\n")


@pytest.fixture
def program(tmp_path):
    """A folder with `bench`, which says what it was given once it is run."""
    script = tmp_path / "bin" / "bench"
    script.parent.mkdir()
    start = "import sys; sys.argv[0] = 'bench'; from deepset_bench.cli import main; main()"
    script.write_text(
        '#!/bin/sh\nif [ "$1" = train ] && [ -z "$_BENCH_COMPLETE" ]\n'
        'then echo "GOT:$*"; exit; fi\n'
        f'exec {sys.executable} -c "{start}" "$@"\n'
    )
    script.chmod(0o755)
    return script.parent


def typed(shell, keys, program, home) -> str:
    """What a shell shows while someone types into it; waits for each answer before the next."""
    home.mkdir(exist_ok=True)
    process, terminal = pty.fork()
    if process == 0:
        path = f"{program}{os.pathsep}{os.environ['PATH']}"
        os.environ |= {"PATH": path, "HOME": str(home), "PYTHONPATH": str(ROOT), "TERM": "dumb"}
        os.execvp(shell[0], shell)
    shown = ""
    for text, answer in keys:
        before = len(shown)
        os.write(terminal, text.encode())
        deadline = time.monotonic() + 30
        while not re.search(answer, shown[before:]) and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536).decode()
    os.close(terminal)
    os.waitpid(process, 0)
    return shown


KEYS = [
    ("bench train scal\t", "ars="),  # without a space behind it
    ("cub_s\t", "qrt "),
    ("\n", r"GOT:.*\n"),
]


def test_in_a_real_bash(program, tmp_path):
    """Installed by the program itself."""
    home = tmp_path / "home"
    home.mkdir()
    install = [("bench --install-completion\n", "installed")]
    assert "installed" in typed(["bash", "--norc", "-i"], install, program, home)
    shown = typed(["bash", "--rcfile", str(home / ".bashrc"), "-i"], KEYS, program, home)
    assert "GOT:train scalars=cub_sqrt\r\n" in shown


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_in_a_real_zsh(program, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    start = 'autoload -Uz compinit; compinit -u -D; eval "$(_BENCH_COMPLETE=source_zsh bench)"\n'
    (home / ".zshrc").write_text(f"bindkey -e\n{start}")
    shown = typed(["zsh", "-i"], KEYS, program, home)
    assert "GOT:train scalars=cub_sqrt\r\n" in shown
