"""The rooms of the package: what may import what, and how large one may be."""

from __future__ import annotations

import ast
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1] / "deepset_bench"
ROOMS = (
    *(
        "molecules",
        "readers",
        "data",
        "generation",
        "checks",
        "model",
        "scoring",
        "training",
        "deployment",
    ),
    *("deployment", "results", "sweep", "evaluation", "export", "study", "figures", "page"),
)
"""Lower ones first: each imports of those before it alone. Modules outside rooms are below all of
them, but for those that people start from."""
ENTRANCES = {"cli", "calculator", "testing"}


def modules() -> dict[str, Path]:
    """Every module by its dotted name within the package."""
    paths = [path for path in ROOT.rglob("*.py") if not path.name.startswith("__")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


def room(name: str) -> str:
    """The room of a module, or the module itself where it is in none."""
    return name.split(".")[0]


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules of the package that one names, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deepset_bench."):
            module = str(node.module).removeprefix("deepset_bench.")
            for alias in node.names:
                full = f"{module}.{alias.name}"
                found.add(full if full in known else module)
        elif isinstance(node, ast.ImportFrom) and node.module == "deepset_bench":
            found |= {alias.name for alias in node.names if alias.name in known}
    return found


def arrows() -> dict[str, set[str]]:
    """For each room the rooms that it imports of."""
    known = modules()
    found: dict[str, set[str]] = {room(name): set() for name in known}
    for name, path in known.items():
        found[room(name)] |= {room(other) for other in imports(path, set(known))} - {room(name)}
    return found


def test_every_room_is_known() -> None:
    folders = {path.parent.relative_to(ROOT).parts[0] for path in ROOT.rglob("*/__init__.py")}
    assert folders == {*ROOMS, "cli"}


def test_rooms_import_of_those_below_alone() -> None:
    found = arrows()
    for place, name in enumerate(ROOMS):
        above = ({*ROOMS[place:]} | ENTRANCES) - {name}
        assert not found[name] & above, name
    for name in set(found) - set(ROOMS) - ENTRANCES:
        assert not found[name] & ({*ROOMS} | ENTRANCES), name


def test_no_circle_between_rooms() -> None:
    TopologicalSorter(arrows()).prepare()


def test_no_room_holds_more_than_a_fifth() -> None:
    sizes: Counter[str] = Counter()
    for name, path in modules().items():
        sizes[room(name)] += len(path.read_text().splitlines())
    largest, lines = sizes.most_common(1)[0]
    assert lines <= sum(sizes.values()) / 5, largest


def test_a_name_of_a_module_occurs_once() -> None:
    names = Counter(name.split(".")[-1] for name in modules())
    # Every architecture has its network.
    assert {name for name, n in names.items() if n > 1} <= {"network"}


def test_a_name_of_a_class_has_one_meaning() -> None:
    found: dict[str, list[str]] = {}
    for name, path in modules().items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(name)
    assert {word: where for word, where in found.items() if len(where) > 1} == {}
