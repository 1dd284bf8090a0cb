"""One style for every figure: for paper (8 points, two-column widths) and for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import layout

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's palette, told apart with any colour vision (jfly.uni-koeln.de/color, 2008)."""
QUIET = "#8c8c8c"
"""For what is known or trivial; readable on white and on black."""
INK, PAPER, LINE = "#1f2328", "#ffffff", "#b7bdc4"
_DARK_INK, _DARK_LINE = "#e6edf3", "#4a525c"

NARROW, WIDE = 3.3, 6.9
"""Inches: one column of a two-column paper, and both."""
POINT = 8
"""Size of the text in points."""
RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": POINT,
    "axes.titlesize": POINT,
    "axes.labelsize": POINT,
    "xtick.labelsize": POINT - 1,
    "ytick.labelsize": POINT - 1,
    "legend.fontsize": POINT - 0.5,
    "figure.titlesize": POINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 0.9,
    "lines.markersize": 3,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text, and can be searched
    "svg.fonttype": "none",
    "svg.hashsalt": "deepset-bench",
    "savefig.dpi": 300,
}
"""matplotlib's settings; to be in force when a figure is made and when it is saved."""


def colours(n: int) -> list[str]:
    """As many that can be told apart: the palette, or more of them from dark to light."""
    if n <= len(COLOURS):
        return list(COLOURS[:n])
    import matplotlib
    from matplotlib.colors import to_hex

    shades = matplotlib.colormaps["viridis"]
    return [to_hex(shades(0.92 * place / (n - 1))) for place in range(n)]


def width(columns: int) -> float:
    """Inches for so many panels side by side."""
    return NARROW if columns == 1 else WIDE


def template(dark: bool = False) -> layout.Template:
    """plotly's settings, on a transparent background."""
    from plotly.graph_objects import layout

    ink, line = (_DARK_INK, _DARK_LINE) if dark else (INK, LINE)
    axis = {
        "showline": True,
        "linecolor": line,
        "ticks": "outside",
        "tickcolor": line,
        "gridcolor": line,
        "showgrid": False,
        "zeroline": False,
        "exponentformat": "power",
        "automargin": True,
        "title": {"font": {"size": 13}},
    }
    return layout.Template(
        layout={
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": ink},
            "colorway": list(COLOURS),
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "x": 0},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": line, "activecolor": ink},
            "hoverlabel": {"font": {"family": "system-ui, sans-serif"}},
        }
    )
