"""Panels -> plotly, for a browser."""

from __future__ import annotations

import json
import textwrap
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from deepset_bench.figures.panels import NAME, Array, Panel, Series, Sheet
from deepset_bench.figures.style import QUIET, template

_INCH = 115
"""Pixels for an inch of paper."""
_ROW = 300
"""Pixels that a row of panels needs at least."""
_LETTERS = 110
"""Characters that a page is wide, with room for axes."""
_ABOVE, _BELOW, _BETWEEN = 115, 55, 95
"""Pixels above the panels, for tools, legend and titles; below them; and between two rows."""


def plot(figure: go.Figure) -> dict[str, Any]:
    """Data and layout for a page, which adds one of `templates` itself."""
    content = dict(json.loads(str(figure.to_json())))
    del content["layout"]["template"]
    return content


def templates() -> dict[str, Any]:
    """plotly's settings for `light` and `dark`."""
    return {scheme: template(scheme == "dark").to_plotly_json() for scheme in ("light", "dark")}


def draw(sheet: Sheet) -> go.Figure:
    """The same panels; as wide as the page that it is put in."""
    rows, columns = len(sheet.rows), max(map(len, sheet.rows))
    height = round(max(sheet.height * _INCH, _ABOVE + rows * _ROW))
    figure = make_subplots(
        rows, columns, shared_yaxes=sheet.joined, row_heights=list(sheet.shares) or None,
        horizontal_spacing=0.03 if sheet.joined else 0.24 / columns,
        vertical_spacing=_BETWEEN / (height - _ABOVE - _BELOW),
    )  # fmt: skip
    named: set[str] = set()
    for row, panels in enumerate(sheet.rows, 1):
        for column, panel in enumerate(panels, 1):
            add(figure, panel, row, column, named, columns)
            if sheet.joined and column > 1:
                figure.update_yaxes(title_text="", row=row, col=column)
    frame(figure, height)
    return figure


def frame(figure: go.Figure, height: int) -> None:
    """Style, height in pixels, and room for tools and legend above."""
    figure.update_layout(
        template=template(), height=height, hovermode="closest",
        margin={"l": 70, "r": 20, "t": _ABOVE, "b": _BELOW},
        legend={"yref": "container", "yanchor": "top", "y": 1 - 30 / height},
    )  # fmt: skip


def add(
    figure: go.Figure, panel: Panel, row: int, column: int, named: set[str], columns: int = 2
) -> None:
    """Draw a panel into a figure of `make_subplots`; `named` are the legend's entries so far."""
    for series in panel.series:
        fresh = not (series.quiet or series.named) and series.name not in named
        named |= {series.name} if fresh else set()
        for trace in _traces(series, fresh):
            figure.add_trace(trace, row, column)
    if panel.title:
        figure.add_annotation(
            text=_lines(panel.title, _LETTERS // columns), showarrow=False,
            xref="x domain", yref="y domain", x=0, y=1,
            xanchor="left", yanchor="bottom", yshift=4, row=row, col=column,
        )  # fmt: skip
    labels = (panel.x, panel.y)
    for axis, scale, limits, label in zip("xy", panel.scales, panel.limits, labels, strict=True):
        update = getattr(figure, f"update_{axis}axes")
        width = _LETTERS // columns if axis == "x" else _LETTERS
        update(title_text=_lines(label, width), row=row, col=column)
        if scale == "log":
            update(type="log", row=row, col=column, **_log_ticks(panel, axis))
        if limits:
            ends = np.log10(limits) if scale == "log" else np.array(limits)
            update(range=[float(end) for end in ends], row=row, col=column)
    if panel.names:
        figure.update_yaxes(
            tickvals=list(range(len(panel.names))),
            ticktext=[_lines(name, NAME) for name in panel.names],
            range=[len(panel.names) - 0.4, -0.6], ticks="", row=row, col=column,
        )  # fmt: skip
    if panel.ticks:
        figure.update_xaxes(
            tickvals=list(panel.ticks),
            ticktext=[f"{tick:g}".replace("-", "−") for tick in panel.ticks],
            dtick=None,
            row=row,
            col=column,
        )
    for cut in panel.cut:
        assert panel.limits[0] is not None
        more = cut.value > 0
        figure.add_annotation(
            x=panel.limits[0][more], y=cut.y, text=f"{cut.text} ▸" if more else f"◂ {cut.text}",
            xanchor="right" if more else "left", showarrow=False, yshift=9,
            font={"color": cut.colour, "size": 11}, row=row, col=column,
        )  # fmt: skip
    if panel.zero:
        figure.add_vline(x=0, line_color=QUIET, line_width=1, row=row, col=column)


def _lines(text: str, letters: int) -> str:
    """Text of any origin in lines of so many characters: it begins no element of HTML."""
    return "<br>".join(escape(line, quote=False) for line in textwrap.wrap(text, letters))


def _log_ticks(panel: Panel, axis: str) -> dict[str, Any]:
    """Decades where there are some, numbers as people write them on an axis of less than two."""
    every = [getattr(s, axis) for s in panel.series]
    across = axis == "x"
    every += [end for s in panel.series if s.across == across for end in s.ends or ()]
    values = np.concatenate([np.asarray(one, dtype=float) for one in every] or [np.ones(1)])
    values = values[np.isfinite(values) & (values > 0)]
    low, high = (values.min(), values.max()) if len(values) else (1.0, 1.0)
    if high >= 50 * low:
        return {"dtick": 1, "minor": {"ticks": "outside"}}
    digits = (1, 2, 5) if high > 5 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in digits]
    return {"tickvals": ticks, "ticktext": [f"{tick:.3g}" for tick in ticks]}


def _traces(s: Series, fresh: bool) -> list[go.Scatter | go.Scattergl]:
    common: dict[str, Any] = {
        "x": s.x,
        "y": s.y,
        "name": _lines(s.name, _LETTERS),
        "legendgroup": s.name,
        "showlegend": fresh,
    }
    if s.kind == "line":
        line = {"color": s.colour, "width": 1.6, "dash": "dash" if s.dashed else "solid"}
        band = [_band(s, s.ends)] if s.ends else []
        return [*band, go.Scatter(**common, mode="lines", line=line)]
    if s.kind == "area":
        fill = {"fill": "tozeroy", "fillcolor": _faint(s.colour, 0.35)}
        return [go.Scatter(**common, mode="lines", line={"width": 0, "color": s.colour}, **fill)]
    marker: dict[str, Any] = {"color": s.colour, "size": {"points": 7, "dots": 4}[s.kind]}
    if s.hollow:
        marker["symbol"] = "circle-open"
    if s.kind == "dots":
        return [go.Scattergl(**common, mode="markers", marker=marker)]
    if s.ends:
        less, more = (np.abs(end - (s.x if s.across else s.y)) for end in s.ends)
        bars = {"type": "data", "symmetric": False, "arrayminus": less, "array": more}
        common["error_x" if s.across else "error_y"] = {**bars, "thickness": 1.2}
    if s.named:
        text = {"text": [common["name"]] * len(s.x), "textposition": "top center"}
        return [go.Scatter(**common, mode="markers+text", marker=marker, **text)]
    return [go.Scatter(**common, mode="markers", marker=marker)]


def _band(s: Series, ends: tuple[Array, Array]) -> go.Scatter:
    around = np.concatenate([ends[0], ends[1][::-1]])
    return go.Scatter(
        x=np.concatenate([s.x, s.x[::-1]]), y=around, fill="toself", mode="lines",
        fillcolor=_faint(s.colour, 0.2), line={"width": 0}, legendgroup=s.name, showlegend=False,
        hoverinfo="skip",
    )  # fmt: skip


def _faint(colour: str, opacity: float) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{opacity})"
