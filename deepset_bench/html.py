"""HTML pages that need nothing but themselves: no network, light or dark as the reader has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deepset_bench import __version__
from deepset_bench.files import PACKAGE
from deepset_bench.surroundings import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(template: str, **content: Any) -> str:
    """The page of a template; what is put in is text unless it is marked up already.

    Args:
        template: name of a file in `templates/`.
        content: what the template names.
    """
    return _environment().get_template(template).render(**content, version=__version__)


def svg(figure: Figure, name: str, colours: Mapping[str, str]) -> Markup:
    """The figure as an SVG element; text stays text.

    Args:
        figure: to draw.
        name: of the figure, another for each on a page: the names inside it are made from it.
        colours: of the figure, as `#123456`, that become a colour of the page: `ink`, `line`,
            `paper`.
    """
    import matplotlib

    stream = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    # Numbered names would occur once in every figure of a page; nothing refers to them.
    text = re.sub(r' id="[A-Za-z.0-9]+_\d+"', "", text[text.index("<svg") :])
    for colour, name in colours.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text)


def _shown(value: Any) -> Any:
    """What would steer a terminal or turn a line around stands as its code, whoever wrote it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(PACKAGE / "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
