"""The pictures of the results, each for a light page and for a dark one."""

from collections.abc import Callable
from functools import partial
from itertools import product
from math import ceil, floor, log10
from pathlib import Path
from statistics import quantiles
from typing import Any

from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter

from .data import Document
from .measures import COMMANDS
from .services import STEPS
from .tables import middle, names, values

STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "the same results, the same file",
    "svg.fonttype": "none",  # text that can be searched and scaled
}
INKS = "text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"
THEMES: dict[str, dict[Any, Any]] = {
    "light": {
        **STYLE,
        **dict.fromkeys(INKS, "#1f2328"),
        "grid.color": "#d1d9e0",
        "axes.prop_cycle": cycler(color=["#bc4c00", "#9a6700", "#0969da", "#1a7f37"]),
    },
    "dark": {
        **STYLE,
        **dict.fromkeys(INKS, "#e6edf3"),
        "grid.color": "#3d444d",
        "axes.prop_cycle": cycler(color=["#f0883e", "#e3b341", "#58a6ff", "#3fb950"]),
    },
}
LINES = ["o-", "s--", "o-", "s--"]  # since neighbours lie on each other


def draw(results: Document, docs: Path) -> None:
    """Draw each panel in both themes, as SVG files in this folder.

    Each panel is a separate file. So a phone can show one below the other.
    """
    panels: dict[str, Callable[[], Figure]] = {
        "growth-dashboard": lambda: draw_growth(results["growth"], "dashboard"),
        "growth-list": lambda: draw_growth(results["growth"], "list"),
        "lag": lambda: draw_lag(results["lags"]),
    }
    for what in COMMANDS:
        panels[f"commands-{what}"] = partial(draw_commands, results["commands"], what)
    for (theme, style), (name, panel) in product(THEMES.items(), panels.items()):
        with rc_context(style):
            file = docs / f"{name}-{theme}.svg"
            panel().savefig(file, transparent=True, metadata={"Date": None})


def draw_growth(records: list[Document], what: str) -> Figure:
    figure = Figure((4.5, 3.6), layout="constrained")
    axes: Axes = figure.subplots()
    sizes: list[int] = []
    for service, line in zip(STEPS, LINES, strict=True):
        runs = [run for run in records if (run["what"], run["who"]) == (what, service.name)]
        sizes = sorted({run["tickets"] for run in runs})
        medians = [middle(runs, "p50_ms", tickets=size) for size in sizes]
        axes.plot(sizes, medians, line, label=service.name)
    axes.set(title=f"GET /{'tickets' if what == 'list' else what}", xlabel="tickets")
    axes.set(xscale="log", yscale="log", xticks=sizes)
    # From one power of ten to another, and the same in both pictures: a flat line looks flat.
    latencies = [run["p50_ms"] for run in records]
    axes.set_ylim(10 ** floor(log10(min(latencies))), 10 ** ceil(log10(max(latencies))))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,g}")
    for axis in axes.xaxis, axes.yaxis:
        axis.set_minor_formatter(NullFormatter())
    axes.grid(which="major")
    axes.set_ylabel("median latency in ms, 8 clients")
    axes.legend()
    return figure


def draw_commands(records: list[Document], what: str) -> Figure:
    runs = [run for run in records if run["what"] == what]
    whos = names(runs)
    figure = Figure((4.5, 2.4), layout="constrained")
    axes: Axes = figure.subplots()
    medians = [middle(runs, "per_second", who=who) for who in whos]
    colours = [f"C{int(who[5]) - 1}" if who.startswith("step") else "grey" for who in whos]
    bars = axes.barh(whos, medians, color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.set(title=what, xlabel="a second")
    axes.margins(x=0.3)
    axes.locator_params(axis="x", nbins=3)
    axes.invert_yaxis()
    return figure


def draw_lag(records: list[Document]) -> Figure:
    figure = Figure((4.5, 3.2), layout="constrained")
    axes: Axes = figure.subplots()
    for who, line in zip(names(records), ("C3-", "C3--", "C0:"), strict=True):
        rounds = values(records, "milliseconds", who=who)
        lags = quantiles((lag for each in rounds for lag in each), n=500)
        axes.plot(lags, [number / 500 for number in range(1, 500)], line, label=who)
    axes.set(
        xlabel="ms from the answer to a command\nuntil the read side shows it",
        ylabel="share of commands",
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid()
    axes.legend(loc="lower right")
    return figure
