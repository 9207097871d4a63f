"""The page of results, made of the stored records and of nothing else."""

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from statistics import median
from string import Template

from .charts import draw
from .data import Document
from .measures import COMMANDS, EMPTY, LISTS, QUERIES
from .services import FLOOR, STEPS, Service
from .tables import medians_by_size, middle, names, percentile, ratio, table, values
from .targets import of_first_edition, reasons, targets

NOTICE = """\
> **These figures measured the first edition of the steps**, at commit `$commit`. We have
> rewritten the four folders since then. So neither the figures nor the reasons below describe the
> code that you see today. The next measurement will replace them.

"""


def write_report(results: Document, docs: Path) -> None:
    """Write results.md and its pictures into this folder."""
    draw(results, docs)
    docs.joinpath("results.md").write_text(page_of(results), encoding="utf-8")


def page_of(results: Document) -> str:
    """Return results.md."""
    about = results["about"]
    runs = [run for run in results["runs"] if run["tickets"] == about["full"]]
    template = Template(Path(__file__).with_name("results.md").read_text(encoding="utf-8"))
    return template.substitute(
        about,
        notice=Template(NOTICE).substitute(about) if of_first_edition(results) else "",
        full=f"{about['full']:,}",
        cores=about["machine"]["cores"],
        growth_pictures=pictures(
            {
                "growth-dashboard": "Latency of the dashboard against the number of tickets",
                "growth-list": "Latency of the list against the number of tickets",
            }
        ),
        commands_pictures=pictures(
            {f"commands-{what}": f"Commands a second, by step: {what}" for what in COMMANDS}
        ),
        lag_picture=pictures({"lag": "How soon the read side shows a command"}),
        targets=aims(results),
        queries=figures(runs, QUERIES),
        time_of_queries=time_spent(runs, QUERIES, STEPS[2:]),
        growth=growth(results["runs"]),
        commands=figures(runs, COMMANDS),
        time_of_commands=time_spent(runs, COMMANDS, STEPS),
        caught_up_after=f"{max(run.get('caught_up_after', 0) for run in runs):.1f}",
        short=figures(results["short"], ["list"]),
        lags=lags(results["lags"]),
        starts=starts(results["starts"]),
        rebuilds=rebuilds(results["rebuilds"]),
        machine=table(["machine", ""], ([*each] for each in about["machine"].items())),
        versions=table(["version of", ""], ([*each] for each in about["versions"].items())),
    )


def aims(results: Document) -> str:
    """Return a table of the targets, and the reason for each that is missed."""
    rows, missed = [], []
    known = reasons(results)
    for what, bound, figure, met in targets(results):
        rows.append([what, bound, figure, "yes" if met else "**no**"])
        if not met:
            missed.append(f"- **{what}**: {known.get(what, 'we do not know why yet.')}")
    return "\n".join([table(["target", "bound", "measured", "met"], rows), "", *missed])


def pictures(panels: dict[str, str]) -> str:
    """Return the panels in a row. Where there is no room for that, one is below the other."""
    return "\n".join(
        f"""<picture>
  <source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">
  <img alt="{says}" src="{name}-light.svg">
</picture>"""
        for name, says in panels.items()
    )


def figures(runs: list[Document], whats: list[str]) -> str:
    """Return tables of throughput, of its ratio to step 1, and of latency."""

    def per_second(what: str, who: str) -> str:
        rounds = values(runs, "per_second", what=what, who=who)
        return f"{median(rounds):,.0f} ({min(rounds):,.0f} to {max(rounds):,.0f})"

    def to_step_1(what: str, who: str) -> str:
        return f"{ratio(runs, who, STEPS[0].name, what=what):,.2f}"

    def latency(what: str, who: str) -> str:
        p50, p99 = (middle(runs, key, what=what, who=who) for key in ("p50_ms", "p99_ms"))
        return f"{p50:,.1f} / {p99:,.1f}"

    def by_what(title: str, cell: Callable[[str, str], str]) -> str:
        whos = names([run for run in runs if run["what"] in whats])
        rows = ([who, *(cell(what, who) for what in whats)] for who in whos)
        return f"{title}:\n\n{table(['', *whats], rows)}"

    return "\n\n".join(
        (
            by_what("Requests a second", per_second),
            by_what("The same, as a ratio to step 1", to_step_1),
            by_what("Latency in ms, median / 99th percentile", latency),
        )
    )


def time_spent(runs: list[Document], whats: list[str], steps: list[Service]) -> str:
    """Return a table of what an answer costs, and of what each layer adds to that."""

    def microseconds(who: str, what: str) -> float:
        return 1e6 / middle(runs, "per_second", what=what, who=who)

    empty = microseconds(EMPTY, "nothing")
    rows = []
    for what in whats:
        floor = microseconds(FLOOR.name, what)
        rest = (microseconds(step.name, what) - floor for step in steps)
        rows.append(
            [what, f"{empty:,.0f}", f"{floor - empty:+,.0f}", *(f"{each:+,.0f}" for each in rest)]
        )
    head = ["", EMPTY, FLOOR.name, *(f"the rest of {step.name}" for step in steps)]
    return table(head, rows)


def growth(runs: list[Document]) -> str:
    sizes = sorted({run["tickets"] for run in runs})

    def row(what: str, who: str) -> list[str]:
        cells = []
        for size in sizes:
            cell = f"{middle(runs, 'p50_ms', what=what, who=who, tickets=size):,.1f}"
            cells.append(cell if size in medians_by_size(runs, what, who) else f"({cell})")
        return [what, who, *cells]

    head = ["", "", *(f"{size:,} tickets" for size in sizes)]
    whats = [*LISTS, "dashboard"]
    return table(head, (row(what, service.name) for what in whats for service in STEPS))


def lags(records: list[Document]) -> str:
    def row(who: str) -> list[str]:
        rounds = values(records, "milliseconds", who=who)
        every = [lag for each in rounds for lag in each]
        p99, p99s = percentile(every, 99), [percentile(each, 99) for each in rounds]
        spread = f"{p99:,.1f} ({min(p99s):,.1f} to {max(p99s):,.1f})"
        return [who, f"{len(every):,}", f"{median(every):,.1f}", spread]

    head = ["", "commands", "median, ms", "99th percentile, ms"]
    return table(head, (row(who) for who in names(records)))


def starts(records: list[Document]) -> str:
    def row(who: str, size: int) -> list[str]:
        first, *later = values(records, "seconds", who=who, tickets=size)
        return [who, f"{size:,}", f"{first:,.1f}", f"{size / first:,.0f}", f"{median(later):,.1f}"]

    head = ["", "tickets", "first start, s", "tickets a second", "later starts, s"]
    sizes = sorted({each["tickets"] for each in records})
    return table(head, (row(who, size) for who in names(records) for size in sizes))


def rebuilds(records: list[Document]) -> str:
    def row(each: Document) -> list[str]:
        size, seconds = each["tickets"], each["seconds"]
        speed = f"{size / seconds:,.0f}"
        return [each["who"], f"{size:,}", f"{seconds:,.1f}", speed, f"{each['peak_mb']:,.0f}"]

    head = ["", "tickets", "seconds", "tickets a second", "most memory, MB"]
    return table(head, (row(each) for each in sorted(records, key=itemgetter("who", "tickets"))))
