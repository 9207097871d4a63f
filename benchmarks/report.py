"""The page of results, made of the stored records and of nothing else."""

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from statistics import median
from string import Template

from .charts import draw
from .data import Document
from .measures import COMMANDS, EMPTY, LISTS, QUERIES
from .services import EXTERNAL, FLOOR, STEPS, Service
from .tables import medians_by_size, middle, names, percentile, ratio, sizes_of, table, values
from .targets import ASYNC, BOTH, FOUR, NAMES, ONE, THREE, changes_a_second, reasons, targets


def write_report(results: Document, docs: Path) -> None:
    """Write results.md and its pictures into this folder."""
    draw(results, docs)
    docs.joinpath("results.md").write_text(page_of(results), encoding="utf-8")


def page_of(results: Document) -> str:
    """Return results.md."""
    about, growth = results["about"], results["about growth"]
    template = Template(Path(__file__).with_name("results.md").read_text(encoding="utf-8"))
    return template.substitute(
        about,
        tickets=f"{about['tickets']:,}",
        cores=about["machine"]["cores"],
        most=max(sizes_of(results["growth"])),
        growth_minutes=growth["minutes"],
        beside=growth.get("beside", ""),  # what else ran, if somebody has to say so
        growth_date=growth["date"],
        growth_commit=growth["commit"],
        summary=summary(results),
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
        at_a_glance=at_a_glance(results),
        targets=aims(results),
        queries=figures(results["queries"], QUERIES),
        dashboard_of_step_3=f"{ratio(results['queries'], THREE, ONE, what='dashboard'):.1f}",
        time_of_queries=time_spent(results["queries"], QUERIES, STEPS[2:]),
        growth=growth_by_size(results["growth"]),
        commands=figures(results["commands"], COMMANDS),
        time_of_commands=time_spent(results["queries"] + results["commands"], COMMANDS, STEPS),
        caught_up_after=f"{max(r.get('caught_up_after', 0) for r in results['commands']):.1f}",
        short=figures(results["short"], ["list"]),
        images=images(results["images"]),
        projector=f"{median(changes_a_second(results)):,.0f}",
        changes=f"{results['projector'][0]['changes']:,}",
        lags=lags(results["lags"]),
        starts=starts(results["starts"]),
        rebuilds=rebuilds(results["rebuilds"]),
        machine=table(["machine", ""], ([*each] for each in about["machine"].items())),
        versions=table(["version of", ""], ([*each] for each in about["versions"].items())),
    )


def summary(results: Document) -> str:
    """Return what is gained, what commands pay for it, and what they pay if nobody waits."""

    tickets, queries = f"{results['about']['tickets']:,}", results["queries"]
    dashboards, lists = (ratio(queries, FOUR, ONE, what=what) for what in ("dashboard", "list"))

    def share(who: str) -> str:
        ratios = [100 * ratio(results["commands"], who, ONE, what=what) for what in COMMANDS]
        return f"{min(ratios):.0f} to {max(ratios):.0f} %"

    return (
        f"With {tickets} tickets, step 4 answers {dashboards:,.0f} times as many dashboards as "
        f"step 1, and {lists:.1f} times as many lists. Commands pay for it: step 3 takes "
        f"{share(THREE)} as many as step 1, and step 4 takes {share(FOUR)}. If no client waits for "
        f"the projection, step 4 takes {share(ASYNC)}, and the list is a moment old. It is "
        f"{share(f'{EXTERNAL.name}, respond-async')} if the projector is a separate process, on "
        f"the same {results['about']['machine']['cores']} cores."
    )


def at_a_glance(results: Document) -> str:
    """Return a table of what each step gains and costs."""
    tickets, most = results["about"]["tickets"], max(sizes_of(results["growth"]))

    def speeds(kind: str, what: str) -> list[str]:
        return [f"{middle(results[kind], 'per_second', what=what, who=who):,.0f}" for who in NAMES]

    starts = [values(results["starts"], "seconds", who=who, tickets=most) for who in NAMES]
    lags = [lag for each in values(results["lags"], "milliseconds", who=FOUR) for lag in each]
    return table(
        [f"with {tickets:,} tickets", *NAMES],
        [
            ["lists a second", *speeds("queries", "list")],
            ["lists with `has_note=true` a second", *speeds("queries", "list, has_note=true")],
            ["dashboards a second", *speeds("queries", "dashboard")],
            ["creates a second", *speeds("commands", "create")],
            ["changes (`PATCH`) a second", *speeds("commands", "patch")],
            [
                "lag in ms: 99 of 100 commands have less",
                *["none"] * 3,
                f"{percentile(lags, 99):.1f}",
            ],
            [f"**with {most:,} tickets**", *[""] * 4],
            ["first start, seconds", *(f"{first:,.1f}" for first, *_ in starts)],
            ["later starts, seconds", *(f"{median(later):,.1f}" for _, *later in starts)],
        ],
    )


def aims(results: Document) -> str:
    """Return a table of the targets, and the reason for each that is missed."""
    rows, missed = [], []
    known = reasons()
    for what, bound, figure, met in targets(results):
        rows.append([what, bound, figure, "yes" if met else "**no**"])
        if not met:
            missed.append(f"- **{what}**: {known.get(what, 'we do not know why yet.')}")
    return "\n".join([table(["target", "bound", "measured", "met"], rows), "", *missed])


def pictures(panels: dict[str, str]) -> str:
    """Return the panels in a row. If there is no room, one is below the other."""
    return "\n".join(
        f'''<picture>
  <source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">
  <img alt="{says}" src="{name}-light.svg">
</picture>'''
        for name, says in panels.items()
    )


def figures(runs: list[Document], whats: list[str]) -> str:
    """Return tables of throughput, of its ratio to step 1, and of latency."""
    whos = names([run for run in runs if run["what"] in whats])

    def per_second(what: str, who: str) -> str:
        rounds = values(runs, "per_second", what=what, who=who)
        half = (max(rounds) - min(rounds)) / 2
        return f"{median(rounds):,.0f} ± {half / median(rounds):.0%}"

    def to_step_1(what: str, who: str) -> str:
        return f"{ratio(runs, who, ONE, what=what):,.2f}"

    def latency(what: str, who: str) -> str:
        p50, p99 = (middle(runs, key, what=what, who=who) for key in ("p50_ms", "p99_ms"))
        return f"{p50:,.1f} / {p99:,.1f}"

    def show(title: str, cell: Callable[[str, str], str]) -> str:
        if len(whos) < len(whats):  # so that the table is long, and not wide
            head, rows = whos, ([what, *(cell(what, who) for who in whos)] for what in whats)
        else:
            head, rows = whats, ([who, *(cell(what, who) for what in whats)] for who in whos)
        return f"{title}:\n\n{table(['', *head], rows)}"

    return "\n\n".join(
        (
            show("Requests a second", per_second),
            show("The same, as a ratio to step 1", to_step_1),
            show("Latency in ms, median / 99th percentile", latency),
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


def growth_by_size(runs: list[Document]) -> str:
    sizes = sizes_of(runs)

    def row(what: str, who: str) -> list[str]:
        cells = []
        for size in sizes:
            cell = f"{middle(runs, 'p50_ms', what=what, who=who, tickets=size):,.1f}"
            cells.append(cell if size in medians_by_size(runs, what, who) else f"({cell})")
        return [what, who, *cells]

    head = ["", "", *(f"{size:,} tickets" for size in sizes)]
    whats = [*LISTS, "dashboard"]
    return table(head, (row(what, service.name) for what in whats for service in STEPS))


def images(records: list[Document]) -> str:
    """Return a table of what pre-images cost the commands of step 1."""

    def row(who: str) -> list[str]:
        speed = middle(records, "per_second", who=who)
        sizes = [each["image_bytes"] / each["requests"] for each in records if each["who"] == who]
        return [
            who,
            f"{speed:,.0f}",
            f"{ratio(records, who, ONE):.2f}",
            f"{median(sizes):,.0f}",
        ]

    head = ["", "PATCH a second", "to step 1", "bytes of pre-images a change"]
    return table(head, (row(who) for who in names(records)))


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
        speed = f"{size / first:,.0f}" if who in BOTH else "-"  # the others build no rows
        return [who, f"{size:,}", f"{first:,.1f}", speed, f"{median(later):,.1f}"]

    head = ["", "tickets", "first start, s", "tickets a second", "later starts, s"]
    return table(head, (row(who, size) for who in names(records) for size in sizes_of(records)))


def rebuilds(records: list[Document]) -> str:
    def row(each: Document) -> list[str]:
        size, seconds = each["tickets"], each["seconds"]
        speed = f"{size / seconds:,.0f}"
        return [each["who"], f"{size:,}", f"{seconds:,.1f}", speed, f"{each['peak_mb']:,.0f}"]

    head = ["", "tickets", "seconds", "tickets a second", "most memory, MB"]
    return table(head, (row(each) for each in sorted(records, key=itemgetter("who", "tickets"))))
