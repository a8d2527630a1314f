"""A storm as a chart: seats, waitlist and promotions above, responses per second below, as SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 600, 382.5  # points: 800 by 510 pixels
BINS = 60  # of the histogram of responses
POINTS = 120  # at most, of a line
TEXT, MUTED, CARD, BORDER, GRID = "#1f2328", "#59636e", "#ffffff", "#d1d9e0", "#e6eaef"
DARK = {TEXT: "#f0f6fc", MUTED: "#a3acb6", CARD: "#151b23", BORDER: "#3d444d", GRID: "#262c36"}
SEATS, WAITLIST, PROMOTIONS, REFUSED, DROPS, ERRORS, EARLY = (
    "#1f9d6b",
    "#e09a1f",
    "#3b82f6",
    "#9aa4b0",
    "#9b6cf0",
    "#e5484d",
    "#5ec4d6",
)
KINDS = {  # of responses, from the bottom of the chart to its top
    "drops 204": DROPS,
    "enrolled 201": SEATS,
    "waitlisted 201": WAITLIST,
    "refused 409": REFUSED,
    "errors": ERRORS,
}
TOO_EARLY = "too early 409"  # only where a registration window opens during the storm
COLORS = {**KINDS, TOO_EARLY: EARLY}
STYLE = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib; it measures with this one
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "storm",
    "text.color": TEXT,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.edgecolor": BORDER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
FONTS = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Chart:
    """The content of a chart. Times are seconds since the start of the storm."""

    verdict: str
    summary: str
    capacity: int
    end: float
    samples: list[tuple[float, int, int]]  # time, seats taken, length of the waitlist
    promotions: list[float]
    responses: dict[str, list[float]]  # one list for each of KINDS, and perhaps for TOO_EARLY
    # the first and the last time at which a seat was given back
    given_back: tuple[float, float] | None
    opened: float | None = None  # when the registration window opened


def draw(path: Path, chart: Chart) -> None:
    """Write the chart to `path`. Equal charts give equal files."""
    with rc_context(STYLE):
        figure = Figure((WIDTH / 72, HEIGHT / 72), facecolor="none")
        shape = {"boxstyle": "round,pad=0,rounding_size=6", "facecolor": CARD, "edgecolor": BORDER}
        figure.add_artist(
            FancyBboxPatch((0.5, 0.5), WIDTH - 1, HEIGHT - 1, transform=None, zorder=-1, **shape)
        )
        figure.text(0.03, 0.935, chart.verdict, size=15, weight="bold", va="center")
        figure.text(0.03, 0.875, chart.summary, color=MUTED, va="center")
        _draw_states(figure, chart)
        _draw_responses(figure, chart)
        svg = StringIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(_for_the_web(svg.getvalue()))


def _draw_states(figure: Figure, chart: Chart) -> None:
    """Draw seats, waitlist and promotions side by side."""
    times = [0.0, *(time for time, _, _ in chart.samples)]
    seats = [0, *(seats for _, seats, _ in chart.samples)]
    waitlist = [0, *(waitlist for _, _, waitlist in chart.samples)]
    promoted_at = [0.0, *sorted(chart.promotions), chart.end]
    promoted = [0, *range(len(chart.promotions) + 1)]
    panels = figure.subplots(
        1,
        3,
        gridspec_kw={"left": 0.075, "right": 0.975, "top": 0.77, "bottom": 0.5, "wspace": 0.24},
    )
    panels[0].axhline(chart.capacity, color=TEXT, linestyle=(0, (4, 3)), linewidth=1, zorder=3)
    _label(
        panels[0],
        f"capacity {chart.capacity:,}",
        (chart.end, chart.capacity),
        3,
        ha="right",
        va="bottom",
    )
    _draw_area(panels[0], "Seats taken", times, seats, SEATS)
    _draw_area(panels[1], "Waitlist length", times, waitlist, WAITLIST)
    _draw_area(panels[2], "Promotions", promoted_at, promoted, PROMOTIONS)
    for panel in panels:
        _finish(panel, chart, ticks=4)


def _draw_area(
    panel: Axes, title: str, times: Sequence[float], values: Sequence[int], color: str
) -> None:
    panel.set_title(f"{title}: {values[-1]:,}", pad=7)
    every = len(times) // POINTS + 1
    times, values = [*times[:-1:every], times[-1]], [*values[:-1:every], values[-1]]
    panel.fill_between(times, values, color=color, alpha=0.25, linewidth=0)
    panel.plot(times, values, color=color, linewidth=1.75)


def _draw_responses(figure: Figure, chart: Chart) -> None:
    """Draw how many responses of each kind came per second, one kind on top of the other."""
    panel = figure.add_axes((0.075, 0.115, 0.9, 0.215))
    width = chart.end / BINS
    times = list(chart.responses.values())
    weights = [[1 / width] * len(kind) for kind in times]
    edges = [i * width for i in range(BINS + 1)]
    panel.hist(
        times,
        edges,
        weights=weights,
        stacked=True,
        histtype="stepfilled",
        color=[COLORS[kind] for kind in chart.responses],
    )
    panel.set_title("Responses per second", pad=22)
    keys = [
        Line2D([], [], marker="s", linestyle="", markersize=7, color=color)
        for color in KINDS.values()
    ]
    names = [f"{kind}: {len(chart.responses[kind]):,}" for kind in KINDS]
    panel.legend(keys, names, loc="lower "
        "left", bbox_to_anchor=(-0.012, 1), ncols=5, frameon=False, handletextpad=0.1,
                 borderpad=0, borderaxespad=0.4, columnspacing=1.2)  # fmt: skip
    panel.set_xlabel("seconds since the start")
    _finish(panel, chart, ticks=10)
    if chart.given_back:
        label = f"{len(chart.responses['drops 204']):,} seats given back"
        _label(
            panel,
            label,
            (sum(chart.given_back) / 2, panel.get_ylim()[1]),
            -4,
            ha="center",
            va="top",
        )
    if chart.opened is not None:
        top = panel.get_ylim()[1]
        early = f" {TOO_EARLY}: {len(chart.responses[TOO_EARLY]):,}, until the window opens "
        side = "right" if chart.opened > chart.end / 2 else "left"  # where it has room
        _label(panel, early, (chart.opened, top), -4, ha=side, va="top")


def _label(panel: Axes, text: str, at: tuple[float, float], shift: float, **alignment: str) -> None:
    panel.annotate(text, at, (0, shift), textcoords="offset points", **alignment)


def _finish(panel: Axes, chart: Chart, ticks: int) -> None:
    """Give a panel round ticks, room above its highest value, and the phase in which seats are
    given back.
    """
    panel.set_xlim(0, chart.end)
    panel.set_ylim(0, max(panel.dataLim.y1, 1) * 1.3)
    panel.xaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
    panel.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    panel.xaxis.set_major_formatter("{x:g} s")
    panel.yaxis.set_major_formatter("{x:,.0f}")
    if chart.opened is not None:
        panel.axvline(chart.opened, color=TEXT, linewidth=1, zorder=3)
    if chart.given_back:
        panel.axvspan(*chart.given_back, color=DROPS, alpha=0.14, linewidth=0, zorder=0)


def _for_the_web(svg: str) -> str:
    """Use the fonts of the reader's system, dark colors for readers who prefer dark pages, and at
    most two decimals.
    """
    rules = [
        f'[style*="{part}: {light}"]{{{part}:{dark}!important}}'
        for light, dark in DARK.items()
        for part in ("fill", "stroke")
    ]
    style = f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
    svg = re.sub(r"(\d\.\d\d)\d+", r"\1", svg)
    return svg.replace("'DejaVu Sans'", FONTS).replace("<defs>", style + "<defs>", 1)
