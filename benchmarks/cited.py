"""What the READMEs say of the results, to be found there word for word."""

import math

from .data import Document
from .measures import COMMANDS, LISTS, QUERIES
from .services import STEPS
from .tables import middle, percentile, ratio, values

ONE, TWO, THREE, FOUR = (service.name for service in STEPS)
FEW = 1_000


def paragraphs(results: Document) -> dict[str, str]:
    """Return by file what it says, without line breaks."""
    full = results["about"]["full"]
    few, many = ([run for run in results["runs"] if run["tickets"] == size] for size in (FEW, full))

    def milliseconds(runs: list[Document], what: str, who: str) -> str:
        return f"{rounded(middle(runs, 'p50_ms', what=what, who=who))} ms"

    def times(what: str, who: str, to: str = ONE, runs: list[Document] = many) -> str:
        return rounded(ratio(runs, who, to, what=what))

    def between(whats: list[str], who: str, to: str) -> str:
        ratios = [ratio(many, who, to, what=what) for what in whats]
        least, most = rounded(min(ratios)), rounded(max(ratios))
        return least if least == most else f"{least} to {most}"

    def row(title: str, whats: list[str]) -> str:
        others = (between(whats, who, ONE) for who in (TWO, THREE, FOUR))
        return f"| {title} | 1 | {' | '.join(others)} |"

    [first_start] = values(results["starts"], "seconds", who=THREE, tickets=full, round=0)
    [seconds] = values(results["rebuilds"], "seconds", who=FOUR, tickets=full)
    lags = [lag for each in values(results["lags"], "milliseconds", who=FOUR) for lag in each]
    respond_async = f"{FOUR}, respond-async"
    return {
        "README.md": (
            f"With {full:,} tickets, the dashboard of step 3 answers {times('dashboard', THREE)} "
            f"times as often as that of step 1, and the list {times('list', THREE)} times. That "
            f"is the case for CQRS. The case against it: with {FEW:,} tickets it is "
            f"{times('dashboard', THREE, runs=few)} and {times('list', THREE, runs=few)} times; a "
            f"ticket's details gain nothing at any number; and commands run at "
            f"{between(COMMANDS, THREE, ONE)} of step 1's rate in step 3, and at "
            f"{between(COMMANDS, FOUR, ONE)} in step 4. Where writes are many, or the tickets "
            "few, CQRS does not pay."
        ),
        "docs/when-it-is-overkill.md": (
            row("commands a second, to those of step 1", COMMANDS)
            + " "
            + row(f"lists a second, {full:,} tickets, to those of step 1", [*LISTS])
            + " "
            + row(f"dashboards a second, {full:,} tickets, to those of step 1", ["dashboard"])
        ),
        "step_01_crud/README.md": (
            f"With {FEW:,} tickets the dashboard takes {milliseconds(few, 'dashboard', ONE)}, with "
            f"{full:,} it takes {milliseconds(many, 'dashboard', ONE)}. The list goes from "
            f"{milliseconds(few, 'list', ONE)} to {milliseconds(many, 'list', ONE)}, as its order "
            "has an index."
        ),
        "step_02_split_handlers/README.md": (
            f"Queries run at {between(QUERIES, TWO, ONE)} and commands at "
            f"{between(COMMANDS, TWO, ONE)} of step 1's rate: no difference but noise."
        ),
        "step_03_projections/README.md": (
            f"With {full:,} tickets the dashboard answers {times('dashboard', THREE)} times as "
            f"often as in step 1, the list {times('list', THREE)} times, and that of tickets with "
            f"a note {times('list, has_note=true', THREE)} times. For that, commands run at "
            f"{between(COMMANDS, THREE, ONE)} of step 1's rate, and the first start took "
            f"{rounded(first_start)} s."
        ),
        "step_04_full_cqrs/README.md": (
            f"Queries as in step 3. Commands run at {between(COMMANDS, FOUR, THREE)} of step 3's "
            f"rate, and with `Prefer: respond-async` at {between(COMMANDS, respond_async, THREE)}; "
            f"at {results['about']['rate']} of these a second, the list then follows "
            f"{rounded(percentile(lags, 50))} ms later, and in 99 of 100 cases at most "
            f"{rounded(percentile(lags, 99))} ms. A rebuild goes through "
            f"{rounded(full / seconds)} tickets a second, and nothing has to stop for it."
        ),
    }


def rounded(number: float) -> str:
    """Return the number to two digits, as more would be noise."""
    decimals = max(0, 1 - math.floor(math.log10(number)))
    return f"{float(f'{number:.2g}'):,.{decimals}f}"
