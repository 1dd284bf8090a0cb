"""What every figure is: something to draw in two ways, and words to go with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Static
    from plotly.graph_objects import Figure as Interactive


@dataclass(frozen=True)
class Figure:
    """One figure of the catalogue.

    Attributes:
        name: of the files, as in `figure_7`.
        title: one line.
        caption: what is shown, in which units, of how many seeds.
        missing: what is missing, and the command that fills the gap (empty where none does).
        runs: the folders that it is drawn from.
        draw: for paper; None where there is nothing to draw.
        interactive: for a browser; None where there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    missing: list[tuple[str, str]] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    draw: Callable[[], Static] | None = None
    interactive: Callable[[], Interactive] | None = None
