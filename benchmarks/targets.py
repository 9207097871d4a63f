"""What we aimed at, and whether it is met."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from .data import Document
from .measures import COMMANDS, LISTS
from .services import EXTERNAL, FLOOR, STEPS
from .tables import medians_by_size, middle, percentile, ratio, values

ONE, TWO, THREE, FOUR = (service.name for service in STEPS)
BOTH = (THREE, FOUR)

FIRST_EDITION = "90230f66463c"  # the commit at which the first edition was measured


def of_first_edition(results: Document) -> bool:
    return bool(results["about"]["commit"] == FIRST_EDITION)


def reasons(results: Document) -> dict[str, str]:
    """Return why targets are missed, by their names. What we know is about the first edition."""
    if not of_first_edition(results):
        return {}
    return tomllib.loads(Path(__file__).with_name("reasons.toml").read_text(encoding="utf-8"))


def targets(results: Document) -> Iterator[tuple[str, str, str, bool]]:
    """Yield each target: its name, its bound, the worst of its figures, and whether it is met."""
    for what, least, figures in floors_of(results):
        yield what, f"at least {least:,g}", f"{min(figures):,.2f}", min(figures) >= least
    for what, most, figures in ceilings_of(results):
        yield what, f"at most {most:,g}", f"{max(figures):,.2f}", max(figures) <= most


def floors_of(results: Document) -> Iterator[tuple[str, float, list[float]]]:
    full = results["about"]["full"]
    runs = [run for run in results["runs"] if run["tickets"] == full]

    def queries(what: str, to: str = ONE) -> list[float]:
        return [ratio(runs, who, to, what=what) for who in BOTH]

    def commands(who: str, to: str) -> list[float]:
        return [ratio(runs, who, to, what=what) for what in COMMANDS]

    yield "dashboard, steps 3 and 4 to step 1", 30, queries("dashboard")
    yield "list by has_note, steps 3 and 4 to step 1", 2.5, queries("list, has_note=true")
    yield "list, steps 3 and 4 to step 1", 1.3, queries("list")
    yield "list, steps 3 and 4 to the driver call only", 0.85, queries("list", FLOOR.name)
    short = [ratio(results["short"], who, ONE, what="list") for who in BOTH]
    yield "list with messages of 300 bytes, steps 3 and 4 to step 1", 1.1, short
    yield "commands, step 2 to step 1", 0.95, commands(TWO, ONE)
    yield "commands, step 4 to step 3", 0.8, commands(FOUR, THREE)
    yield "the same with respond-async, to step 1", 0.7, commands(f"{FOUR}, respond-async", ONE)
    external = commands(f"{EXTERNAL.name}, respond-async", ONE)
    yield "the same with an external projector besides, to step 1", 0.8, external
    starts = [
        full / middle(results["starts"], "seconds", who=who, tickets=full, round=0) for who in BOTH
    ]
    yield "first start of steps 3 and 4, tickets a second", 8000, starts
    rebuilds = values(results["rebuilds"], "seconds", tickets=full)
    yield "rebuild, tickets a second", 8000, [full / each for each in rebuilds]


def ceilings_of(results: Document) -> Iterator[tuple[str, float, list[float]]]:
    sizes = sorted({run["tickets"] for run in results["runs"]})
    medians = [
        list(medians_by_size(results["runs"], what, who).values())
        for what in [*LISTS, "dashboard"]
        for who in BOTH
    ]
    growths = [each[-1] / each[0] for each in medians if len(each) > 1]
    far = f"from {sizes[0]:,} to {sizes[-1]:,} tickets"
    yield f"growth of latency {far}, lists and dashboard, steps 3 and 4", 1.3, growths
    lags = [lag for each in values(results["lags"], "milliseconds", who=FOUR) for lag in each]
    yield "lag at a steady load, 99th percentile in ms", 50, [percentile(lags, 99)]
    peaks = [
        middle(results["rebuilds"], "peak_mb", who=who, tickets=sizes[-1])
        # Not to the smallest size, which fills no batch.
        / middle(results["rebuilds"], "peak_mb", who=who, tickets=sizes[1])
        for who in BOTH
    ]
    yield f"rebuild, memory for {sizes[-1]:,} tickets to that for {sizes[1]:,}", 1.1, peaks
