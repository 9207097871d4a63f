"""The pictures of the results, each for a light page and for a dark one."""

from itertools import product
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
from .services import EXTERNAL, STEPS
from .tables import middle, names, values

STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "the same results, the same file",
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
    """Draw each picture in both themes, as SVG files in this folder."""
    pictures = {"growth": draw_growth, "commands": draw_commands, "lag": draw_lag}
    for (theme, style), (name, picture) in product(THEMES.items(), pictures.items()):
        with rc_context(style):
            file = docs / f"{name}-{theme}.svg"
            picture(results).savefig(file, transparent=True, metadata={"Date": None})


def draw_growth(results: Document) -> Figure:
    figure = Figure((9, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, what in (left, "dashboard"), (right, "list"):
        for service, line in zip(STEPS, LINES, strict=True):
            runs = [
                run for run in results["runs"] if (run["what"], run["who"]) == (what, service.name)
            ]
            sizes = sorted({run["tickets"] for run in runs})
            medians = [middle(runs, "p50_ms", tickets=size) for size in sizes]
            axes.plot(sizes, medians, line, label=service.name)
        axes.set(title=f"GET /{'tickets' if what == 'list' else what}", xlabel="tickets")
        axes.set(xscale="log", yscale="log", xticks=sizes)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:,g}")
        for axis in axes.xaxis, axes.yaxis:
            axis.set_minor_formatter(NullFormatter())
        axes.grid(which="major")
    left.set_ylabel("median latency in ms, 8 clients")
    left.legend()
    return figure


def draw_commands(results: Document) -> Figure:
    runs = [run for run in results["runs"] if run["what"] in COMMANDS]
    whos = names(runs)
    figure = Figure((9, 3.2), layout="constrained")
    for axes, what in zip(figure.subplots(1, len(COMMANDS), sharey=True), COMMANDS, strict=True):
        medians = [middle(runs, "per_second", what=what, who=who) for who in whos]
        colours = [f"C{int(who[5]) - 1}" if who.startswith("step") else "grey" for who in whos]
        bars = axes.barh(whos, medians, color=colours)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.set(title=what, xlabel="a second")
        axes.margins(x=0.3)
        axes.locator_params(axis="x", nbins=3)
    axes.invert_yaxis()
    return figure


def draw_lag(results: Document) -> Figure:
    figure = Figure((9, 3.2), layout="constrained")
    axes: Axes = figure.subplots()
    for service, line in (STEPS[3], "C3-"), (EXTERNAL, "C3--"):
        rounds = values(results["lags"], "milliseconds", who=service.name)
        lags = quantiles((lag for each in rounds for lag in each), n=500)
        axes.plot(lags, [number / 500 for number in range(1, 500)], line, label=service.name)
    axes.set(
        xlabel="ms from the answer to a command until the read side shows it",
        ylabel="share of commands",
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid()
    axes.legend(loc="lower right")
    return figure
