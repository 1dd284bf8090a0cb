"""What a short run does not need, it does not wait for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .tiny import OVERRIDES

HEAVY = ("torch._dynamo", "torch._inductor", "torch_geometric", "pandas", "wandb", "matplotlib")
WATCHED = """
import json, sys
from deepset_bench.cli import main
*sys.argv, unwanted = ["bench", *map(json.loads, sys.argv[1:])]
sys.argv += sys.argv.pop()
try:
    main()
finally:
    print([name for name in unwanted if name in sys.modules], file=sys.stderr)
"""


def imported(words: list[str], unwanted: tuple[str, ...]) -> str:
    """Which of these modules a command imports, as it prints a list of them."""
    given = json.dumps(words), json.dumps(unwanted)
    command = [sys.executable, "-c", WATCHED, *given]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr.strip()


@pytest.mark.usefixtures("tiny")
def test_a_run_of_an_epoch_imports_no_compiler_and_no_tables():
    words = ["train", *(word for word in OVERRIDES if "epochs" not in word), "trainer.epochs=1"]
    assert imported(words, HEAVY) == "[]"


def test_help_imports_next_to_nothing():
    unwanted = ("torch", "numpy", "hydra", "yaml", "rich", "importlib.metadata")
    assert imported(["--help"], unwanted) == "[]"
