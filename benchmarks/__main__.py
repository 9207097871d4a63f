"""Measure the four steps beside each other: python -m benchmarks

Writes results.json and, from nothing but that, the page and the pictures in docs/, which
`python -m benchmarks report` writes anew. TICKETS=1000000 adds that size to the others.
"""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from pymongo import MongoClient

from workbench.errors import Refusal
from workbench.mongod import free_port, start_mongod

from .data import Document
from .load import CLIENTS, RATE, find_wrk, wrk_version
from .measures import (
    LISTS,
    QUERIES,
    measure_commands,
    measure_images,
    measure_lags,
    measure_projector,
    measure_queries,
    measure_rebuilds,
    measure_starts,
    serve_all,
    store,
)
from .report import write_report
from .services import EXTERNAL, FLOOR, FLOOR_OF_COMMANDS, QUERY_SIDE, REPOSITORY, STEPS, rebuild

RESULTS = REPOSITORY / "benchmarks" / "results.json"
SCRATCH = REPOSITORY / ".benchmarks"  # not where temporary files live, which may be in memory

SIZES = [1_000, 10_000, 100_000]
FULL = 100_000  # the size at which everything is measured
USUAL = (2000, 8000)  # characters of a message
SHORT = (300, 300)


def measure() -> Document:
    """Measure everything, and return what is to be stored. Raises Refusal where that fails."""
    find_wrk()
    sizes = sorted({*SIZES, most_tickets()})
    kinds = ["runs", "starts", "rebuilds", "lags", "images", "projector", "short"]
    results: Document = {kind: [] for kind in kinds}

    def keep(kind: str, tickets: int, records: Iterator[Document]) -> None:
        results[kind] += [{"tickets": tickets} | record for record in records]

    for tickets in sizes:
        print(f"{tickets:,} tickets", file=sys.stderr)
        full = tickets == FULL
        with start_database() as uri:
            writable = [*STEPS, EXTERNAL, FLOOR_OF_COMMANDS] if full else STEPS
            store(uri, writable, tickets, *USUAL)
            keep("starts", tickets, measure_starts(uri))
            keep("rebuilds", tickets, measure_rebuilds(uri))
            if full:
                rebuild(QUERY_SIDE, uri)  # which builds nothing itself
                keep("runs", tickets, measure_queries(uri, [*STEPS, QUERY_SIDE, FLOOR], QUERIES))
                with serve_all(uri, writable) as urls:
                    keep("runs", tickets, measure_commands(uri, urls))
                    keep("lags", tickets, measure_lags(uri, urls))
                    keep("images", tickets, measure_images(uri, urls))
                keep("projector", tickets, measure_projector(uri))
            else:
                few = [*LISTS, "dashboard"]
                keep("runs", tickets, measure_queries(uri, STEPS, few, seconds=1))
    print(f"{FULL:,} tickets with short messages", file=sys.stderr)
    with start_database() as uri:
        store(uri, STEPS, FULL, *SHORT)
        keep("short", FULL, measure_queries(uri, [*STEPS, FLOOR], ["list"]))
        return {"about": describe(uri)} | results


def most_tickets() -> int:
    """Return TICKETS, the largest number that is measured. Raises Refusal for what is none."""
    tickets = os.environ.get("TICKETS", str(FULL))
    if not tickets.isdecimal() or int(tickets) < FULL:
        raise Refusal(f"TICKETS is {tickets!r}, but is to be a number from {FULL} up")
    return int(tickets)


@contextmanager
def start_database() -> Iterator[str]:
    """Run a mongod of its own, with nothing in it, until the block ends; yield its URI."""
    SCRATCH.mkdir(exist_ok=True)
    with (
        TemporaryDirectory(dir=SCRATCH) as folder,
        start_mongod(Path(folder), free_port()) as mongod,
    ):
        yield mongod.uri


def describe(uri: str) -> Document:
    """Return what was measured, with what and on what."""
    commit = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    with MongoClient[Document](uri) as client:
        mongod = client.server_info()["version"]
    packages = ["fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "pymongo"]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": subprocess.check_output(commit, cwd=REPOSITORY, text=True).strip(),
        "full": FULL,
        "clients": CLIENTS,
        "rate": RATE,
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory in GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
            "system": f"{platform.system()} {platform.release()}",
        },
        "versions": {
            "Python": platform.python_version(),
            "mongod": mongod,
            "wrk": wrk_version(),
            **{package: version(package) for package in packages},
        },
    }


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def to_lines(results: Document) -> str:
    """Return the results as JSON, with a line for each measurement."""

    def lines(value: object) -> str:
        if not isinstance(value, list):
            return json.dumps(value, indent=1)
        return "[\n" + ",\n".join(json.dumps(record) for record in value) + "\n]"

    parts = [f"{json.dumps(name)}: {lines(value)}" for name, value in results.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    # Ends us as Ctrl-C does: an exception raised here could get lost in an event loop.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    if sys.argv[1:] not in ([], ["report"]):
        sys.exit(__doc__)
    try:
        if not sys.argv[1:]:
            RESULTS.write_text(to_lines(measure()))
        if not RESULTS.exists():
            raise Refusal("There are no results yet: make bench")
        write_report(json.loads(RESULTS.read_text()), REPOSITORY / "docs")
    except Refusal as refusal:
        sys.exit(str(refusal))
    except KeyboardInterrupt:
        sys.exit("Stopped; the results are those of the run before")


if __name__ == "__main__":
    main()
