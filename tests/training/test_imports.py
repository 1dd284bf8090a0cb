"""What a short run does not need, it does not wait for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .tiny import OVERRIDES

HEAVY = ("torch._dynamo", "torch._inductor", "torch_geometric", "pandas", "wandb", "matplotlib")
WATCHED = f"""
import json, sys
from deepset_bench.cli import main
sys.argv = ["bench", *json.loads(sys.argv[1])]
try:
    main()
finally:
    print(json.dumps([name for name in {HEAVY} if name in sys.modules]), file=sys.stderr)
"""


@pytest.mark.usefixtures("tiny")
def test_a_run_of_an_epoch_imports_no_compiler_and_no_tables():
    words = ["train", *(word for word in OVERRIDES if "epochs" not in word), "trainer.epochs=1"]
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, json.dumps(words)], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.strip() == "[]"
