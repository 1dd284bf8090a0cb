"""Times of training steps on disk: `times/NAME.json` or beside a table of runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepset_bench.files import write_text
from deepset_bench.results import storage

_LINE_EACH = "steps"


def beside(file: Path) -> Path:
    """Where the times of a table are: `runs.times.json` beside `runs.csv`."""
    return file.with_name(f"{storage.bare(file).name}.times.json")


def text(content: Mapping[str, Any]) -> str:
    """One measurement as JSON, a line for each of its steps."""
    head = {key: value for key, value in content.items() if key != _LINE_EACH}
    steps = ",\n".join(f"    {json.dumps(step)}" for step in content[_LINE_EACH])
    opened = json.dumps(head, indent=2).removesuffix("\n}")
    return f'{opened},\n  "{_LINE_EACH}": [\n{steps}\n  ]\n}}\n'


def write_all(file: Path, times: Mapping[str, Mapping[str, Any]]) -> None:
    """Write those of a table of runs, by their names."""
    each = [f"{json.dumps(name)}: {text(content).rstrip()}" for name, content in times.items()]
    write_text(file, "{\n" + ",\n".join(each) + "\n}\n")


def is_name(name: str) -> bool:
    """Whether a measurement may be called so, which names a file."""
    return bool(re.fullmatch(r"[\w=+,-][\w.=+,-]*", name))
