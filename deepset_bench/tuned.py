"""`tuned=NETWORK`: a network with the settings that were chosen for it by equal effort.

`bench study tune` writes `tuned.yaml` into a study; wherever overrides are taken for a run of that
study, `tuned=NETWORK` stands for those that the file has of the network. Another study has the same
settings by a `tuned.yaml` of one line, `same_as: ../STUDY/tuned.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepset_bench import file_version
from deepset_bench.errors import UserError, nearest
from deepset_bench.surroundings import of_study

TUNED = "tuned.yaml"
_KEY = "tuned="


def is_network(override: str) -> bool:
    """Whether an override stands for what was chosen for a network."""
    return override.lstrip("+").startswith(_KEY)


def expanded(overrides: Sequence[str]) -> list[str]:
    """Overrides with those that were chosen in the place of each `tuned=NETWORK`.

    Raises:
        UserError: the study at hand has no such file, or the file no such network.
    """
    return [one for line in overrides for one in _meant(line)]


def _meant(line: str) -> Sequence[str]:
    if not is_network(line):
        return (line,)
    paths = of_study(TUNED)
    if not paths:
        raise UserError(f"{line}: this study has no {TUNED}; bench study tune writes it")
    path, found = _networks(paths[0])
    network = line.partition("=")[2]
    if network not in found:
        raise UserError(f"{line}: no such network was tuned; {nearest(network, found)}")
    one = found[network]
    lines = one.get("overrides") if isinstance(one, dict) else None
    if not isinstance(lines, list) or not all(isinstance(text, str) for text in lines):
        raise UserError(f"{path}: networks.{network}: overrides is no list of overrides")
    if any(map(is_network, lines)):
        raise UserError(f"{path}: networks.{network}: overrides may not hold {_KEY}")
    return lines


def _networks(path: Path) -> tuple[Path, Mapping[str, Any]]:
    """Network -> what was chosen for it, and the file that says so."""
    content = _content(path)
    if isinstance(other := content.get("same_as"), str):
        path = path.parent / other
        content = _content(path)
    found = content.get("networks")
    if not isinstance(found, dict):
        raise UserError(f"{path}: is not what bench study tune writes")
    return path, found


def _content(path: Path) -> Mapping[str, Any]:
    # Late: yaml takes a tenth of a second, and most commands need neither.
    from deepset_bench.reading import read_yaml

    content: Any = read_yaml(path)
    return file_version.known(path, content) if isinstance(content, dict) else {}
