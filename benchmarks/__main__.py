"""`python -m benchmarks [NAMES]`: print speeds as ratios, or write them to docs/performance.md.

`python -m benchmarks sound` examines sets that have nothing wrong instead, `detection` sets whose
labels are wrong, and `identities` sets whose geometries or names are, `gpu` measures a GPU,
`selection` which epoch of a run to keep and `random_split` what a split leaks, and `soak` watches
sweeps of many runs; each has options of its own.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from importlib import import_module
from pathlib import Path

from benchmarks.tables import replace_section
from benchmarks.timing import in_fresh_process, machine

NAMES = (
    "step",
    "peers",
    "md",
    "scaling",
    "sizes",
    "epoch",
    "large",
    "checks",
    "start",
    "many",
    "thousand",
)
OTHERS = ("gpu", "sound", "detection", "identities", "selection", "random_split", "soak")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def main() -> None:
    """Run what was asked for, one benchmark after another."""
    if sys.argv[1:2] and sys.argv[1] in OTHERS:
        import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=50, help="timed calls of each kind")
    parser.add_argument(
        "--variants", nargs="+", default=[], help="what `step` measures (default: all)"
    )
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    given = parser.parse_args()
    unknown = set(given.names) - set(NAMES)
    if unknown:
        parser.error(f"unknown benchmark {unknown.pop()}; choose from {', '.join(NAMES)}")
    where = f"{machine()}; {date.today():%Y-%m-%d}."
    print(where)
    for name in given.names or NAMES:
        options = {"variants": given.variants} if name == "step" else {}
        measure = import_module(f"benchmarks.{name}").measure
        tables = [
            table
            for threads in given.threads
            for table in in_fresh_process(measure, threads, given.repeats, **options)
        ]
        content = "\n".join(table.markdown() for table in tables)
        print(f"\n{content}", flush=True)
        if given.write:
            replace_section(PAGE, name, f"{content}\nMeasured on {where}")


if __name__ == "__main__":
    main()
