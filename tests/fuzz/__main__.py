"""`make fuzz`: change sound files at random for minutes; what fails is kept in `corpus/`."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.fuzz.kinds import CHANGES, CORPUS, KINDS, changed, soon

_EACH = 200
"""Changed files of a kind before the next kind has its turn."""


def campaign(kind: str, number: int, folder: Path) -> tuple[int, str]:
    """Try some files of a kind; how many, and where the smallest that failed is kept."""
    attempt, sound = KINDS[kind]
    contents = sound(folder)
    tries, failed = 0, b""

    @seed(number)
    @settings(
        max_examples=_EACH,
        deadline=None,
        database=DirectoryBasedExampleDatabase(".hypothesis/fuzz"),
        phases=(Phase.reuse, Phase.generate, Phase.target, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(CHANGES)
    def tried(changes: Any) -> None:
        nonlocal tries, failed
        for content in contents:
            tries += 1
            whole = changed(content, changes)
            try:
                with soon():
                    attempt(folder, whole)
            except BaseException:
                failed = whole  # the smallest is tried last
                raise

    try:
        tried()
    except Exception as error:
        place = CORPUS / kind / hashlib.sha256(failed).hexdigest()[:12]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(failed)
        return tries, f"{place}: {type(error).__name__}: {str(error)[:300]}"
    return tries, ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=None, help="as an earlier call printed it")
    parser.add_argument("--kind", choices=tuple(KINDS), action="append")
    asked = parser.parse_args()
    start = asked.seed if asked.seed is not None else int.from_bytes(os.urandom(4))
    end, tries, found = time.monotonic() + asked.seconds, {}, []
    print(f"--seed {start}", flush=True)
    warnings.simplefilter("ignore")
    number = start
    while time.monotonic() < end:
        for kind in asked.kind or KINDS:
            if time.monotonic() < end:
                with tempfile.TemporaryDirectory() as folder:
                    count, failure = campaign(kind, number, Path(folder))
                tries[kind] = tries.get(kind, 0) + count
                if failure:
                    print(failure, flush=True)
                    found.append(failure)
        number += 1
    print(
        ", ".join(f"{kind} {count}" for kind, count in tries.items()),
        "tried;",
        len(found),
        "failed",
    )
    return bool(found)


if __name__ == "__main__":
    os.environ["BENCH_DATA"] = os.environ["BENCH_RUNS"] = os.devnull
    sys.exit(main())
