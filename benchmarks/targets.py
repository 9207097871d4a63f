"""What we aimed at, and whether it is met."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from .data import Document
from .measures import COMMANDS, LISTS
from .services import FLOOR, STEPS
from .tables import medians_by_size, middle, percentile, ratio, sizes_of, values

NAMES = [service.name for service in STEPS]
ONE, TWO, THREE, FOUR = NAMES
ASYNC = f"{FOUR}, respond-async"
BOTH = (THREE, FOUR)


def reasons() -> dict[str, str]:
    """Return why targets are missed, by their names."""
    return tomllib.loads(Path(__file__).with_name("reasons.toml").read_text(encoding="utf-8"))


def targets(results: Document) -> Iterator[tuple[str, str, str, bool]]:
    """Yield each target: its name, its bound, the worst of its figures, and whether it is met."""
    for what, least, figures in floors_of(results):
        yield what, f"at least {least:,g}", f"{min(figures):,.2f}", min(figures) >= least
    for what, most, figures in ceilings_of(results):
        yield what, f"at most {most:,g}", f"{max(figures):,.2f}", max(figures) <= most


def floors_of(results: Document) -> Iterator[tuple[str, float, list[float]]]:
    full = results["about"]["tickets"]

    def queries(what: str, whos: tuple[str, ...] = BOTH, to: str = ONE) -> list[float]:
        return [ratio(results["queries"], who, to, what=what) for who in whos]

    def commands(who: str, to: str) -> list[float]:
        return [ratio(results["commands"], who, to, what=what) for what in COMMANDS]

    yield "dashboard, step 4 to step 1", 50, queries("dashboard", (FOUR,))
    yield "list by has_note, steps 3 and 4 to step 1", 2.5, queries("list, has_note=true")
    yield "list, steps 3 and 4 to step 1", 1.4, queries("list")
    yield "list, steps 3 and 4 to the driver call only", 0.85, queries("list", to=FLOOR.name)
    yield "commands, step 2 to step 1", 0.95, commands(TWO, ONE)
    yield "commands, step 3 to step 1", 0.5, commands(THREE, ONE)
    yield "commands, step 4 to step 3", 0.65, commands(FOUR, THREE)
    with_respond_async = commands(ASYNC, ONE)
    yield "commands, step 4 with respond-async to step 1", 0.75, with_respond_async
    starts = [
        full / middle(results["starts"], "seconds", who=who, tickets=full, round=0) for who in BOTH
    ]
    yield "first start of steps 3 and 4, tickets a second", 8000, starts
    rebuilds = values(results["rebuilds"], "seconds", tickets=full)
    yield "rebuild, tickets a second", 8000, [full / each for each in rebuilds]
    yield "one projector on one core, changes a second", 5000, changes_a_second(results)


def ceilings_of(results: Document) -> Iterator[tuple[str, float, list[float]]]:
    sizes = sizes_of(results["growth"])
    prepared = [(what, who) for what in LISTS for who in BOTH] + [("dashboard", FOUR)]
    medians = [
        list(medians_by_size(results["growth"], what, who).values()) for what, who in prepared
    ]
    growths = [each[-1] / each[0] for each in medians if len(each) > 1]
    far = f"from {sizes[0]:,} to {sizes[-1]:,} tickets"
    yield f"growth of latency {far}, lists of steps 3 and 4, dashboard of step 4", 1.3, growths
    lags = [lag for each in values(results["lags"], "milliseconds", who=FOUR) for lag in each]
    yield "lag of step 4 at a steady load, median in ms", 10, [percentile(lags, 50)]
    yield "lag of step 4 at a steady load, 99th percentile in ms", 40, [percentile(lags, 99)]
    peaks = [
        middle(results["rebuilds"], "peak_mb", who=who, tickets=sizes[-1])
        # Not to the smallest size, which fills no batch.
        / middle(results["rebuilds"], "peak_mb", who=who, tickets=sizes[1])
        for who in BOTH
    ]
    yield f"rebuild, memory for {sizes[-1]:,} tickets to that for {sizes[1]:,}", 1.1, peaks
    later = [
        median(values(results["starts"], "seconds", who=who, tickets=sizes[-1])[1:])
        for who in (FOUR, ONE)
    ]
    restart = f"restart of step 4 at {sizes[-1]:,} tickets, seconds more than step 1"
    yield restart, 1, [later[0] - later[1]]


def changes_a_second(results: Document) -> list[float]:
    return [each["changes"] / each["seconds"] for each in results["projector"]]
