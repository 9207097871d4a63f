"""What we aimed at, and whether it is met."""

from collections.abc import Iterator

from .data import Document
from .measures import COMMANDS, LISTS
from .services import EXTERNAL, FLOOR, STEPS
from .tables import medians_by_size, middle, percentile, ratio, values

ONE, TWO, THREE, FOUR = (service.name for service in STEPS)
BOTH = (THREE, FOUR)

# Why a target is missed, if it is; the processor times were taken apart from the benchmarks, with
# a command listener and psutil, and by leaving out one thing after the other.
REASONS = {
    "list, steps 3 and 4 to the driver call only": (
        "an answer of nothing is less work than an answer of 20 rows. Of some 600 µs of processor "
        "time that a list takes the service, some 70 go into checking the rows against the response "
        "model and writing them as JSON, and some 20 each into the dependency that hands over the "
        "database and into the limit on bodies. What was ours to mend is mended: rows were turned "
        "into models one by one, and each GET was asked for the type of the body that it has not."
    ),
    "commands, step 2 to step 1": (
        "the database calls are the same, and so is the work around them. The brackets of the two "
        "overlap: it is noise."
    ),
    "commands, step 4 to step 3": (
        "it is waiting more than work: the service is busy for some 60 % of the time. A pass of the "
        "projector is four calls in turn (find marks, find rows, write the batch, put its rows in "
        "place), and a command that comes in the middle of a pass waits for the next one. Step 3 "
        "makes three calls in turn, two for a note, and no command waits for another. Taking marks "
        "off was a fifth call, and goes on beside the next pass now. Handing tickets to the "
        "projector in memory, so that it need not look for marks, gave less than 10 % more, and "
        "letting batches fill for some milliseconds gave less than before: neither is worth its code."
    ),
    "the same with respond-async, to step 1": (
        "here it is work: service and MongoDB take 1.7 ms of processor time a command, in step 1 "
        "they take 1.1. A ticket is written twice, as its mark has to come off again, and its row "
        "once; the two processes and wrk share two cores."
    ),
    "the same with an external projector besides, to step 1": (
        "the work is the same, in one more process: four share two cores. What the service no "
        "longer does, another process does in its place."
    ),
    "rebuild, tickets a second": (
        "in step 4, MongoDB takes some 100 µs to update a row under a condition on more than its "
        "`_id`, 50 without that and 20 to insert one. A first build inserts; a rebuild replaces rows "
        "that are being read, and needs the condition, since without it a projector that has slept "
        "for a while could put an older row over a newer one."
    ),
}


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
