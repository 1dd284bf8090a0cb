"""The terminal for rich's tables and lines: what it is given is text, and nothing but text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from deepset_bench.surroundings import visible


class Console(rich.console.Console):
    """rich's console, for names and paths of any origin.

    Nothing in a string is markup, so brackets are shown and never missed; colours are given by
    `rich.text.Text`. Characters that would steer the terminal are shown as their codes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """See rich; what a table measures is what it shows."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """See rich."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield segment._replace(text=text)
