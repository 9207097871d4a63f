"""Measure the four steps beside each other: python -m benchmarks

Measures everything with 100,000 tickets. With TICKETS=1000000 it measures what may grow with the
number of tickets, up to that number. Either is stored in results.json, in the place of what was
measured before. The page and the pictures in docs/ are made from that file and nothing else:
`python -m benchmarks report` makes them anew.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import time
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
from .services import EXTERNAL, FLOOR, FLOOR_OF_COMMANDS, REPOSITORY, SHARED, STEPS

RESULTS = REPOSITORY / "benchmarks" / "results.json"
SCRATCH = REPOSITORY / ".benchmarks"  # not where temporary files live, which may be in memory

TICKETS = 100_000
USUAL = (2000, 8000)  # characters of a message
SHORT = (300, 300)


def measure() -> Document:
    """Measure everything at one size, and return what is to be stored."""
    results: Document = {}
    with start_database() as uri:
        writable = [*STEPS, EXTERNAL, FLOOR_OF_COMMANDS]
        store(uri, writable, TICKETS, *USUAL)
        results["about"] = describe(uri) | {"tickets": TICKETS}
        results["queries"] = list(measure_queries(uri, [*STEPS, FLOOR], QUERIES))
        with serve_all(uri, writable) as urls:
            results["commands"] = list(measure_commands(uri, urls))
            results["lags"] = list(measure_lags(uri, urls))
            results["images"] = list(measure_images(uri, urls))
        results["projector"] = list(measure_projector(uri))
    with start_database() as uri:
        store(uri, STEPS, TICKETS, *SHORT)
        results["short"] = list(measure_queries(uri, STEPS, ["list"]))
    return results


def measure_growth(most: int) -> Document:
    """Measure what may grow with the number of tickets, which the four steps share here."""
    results: Document = {"growth": [], "starts": [], "rebuilds": []}

    def keep(kind: str, tickets: int, records: Iterator[Document]) -> None:
        results[kind] += [{"tickets": tickets} | record for record in records]

    for tickets in sizes_up_to(most):
        with start_database() as uri:
            store(uri, SHARED, tickets, *USUAL)
            keep("starts", tickets, measure_starts(uri, SHARED))
            keep("rebuilds", tickets, measure_rebuilds(uri, SHARED))
            keep("growth", tickets, measure_queries(uri, SHARED, [*LISTS, "dashboard"], seconds=1))
            results["about growth"] = describe(uri)
    return results


def sizes_up_to(most: int) -> list[int]:
    """Return the powers of ten from a thousand up to a number of tickets, and that number."""
    powers = [10**exponent for exponent in range(3, 10)]
    return [*(size for size in powers if size < most), most]


@contextmanager
def start_database() -> Iterator[str]:
    """Run a separate, empty mongod until the block ends. Yield its URI."""
    SCRATCH.mkdir(exist_ok=True)
    with (
        TemporaryDirectory(dir=SCRATCH) as folder,
        start_mongod(Path(folder), free_port()) as mongod,
    ):
        yield mongod.uri


def describe(uri: str) -> Document:
    """Return with what and on what it was measured."""
    last_change = ["git", "log", "-1", "--format=%h", "--abbrev=12", "--", "step_*/*.py"]
    changed_since = ["git", "status", "--porcelain", "--", "step_*/*.py"]
    commit = subprocess.check_output(last_change, cwd=REPOSITORY, text=True).strip()
    if subprocess.check_output(changed_since, cwd=REPOSITORY):
        commit += ", changed"
    with MongoClient[Document](uri) as client:
        mongod = client.server_info()["version"]
    packages = ["fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "pymongo"]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit,  # of the steps
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
        results = json.loads(RESULTS.read_text())
        if not sys.argv[1:]:
            find_wrk()  # before minutes go by
            most = tickets_asked_for()
            began = time.monotonic()
            new = measure_growth(most) if most else measure()
            about = new["about growth" if most else "about"]
            about["minutes"] = round((time.monotonic() - began) / 60)
            results |= new
            RESULTS.write_text(to_lines(results))
        write_report(results, REPOSITORY / "docs")
    except Refusal as refusal:
        sys.exit(str(refusal))
    except KeyboardInterrupt:
        sys.exit("Stopped; the results are those of the run before")


def tickets_asked_for() -> int | None:
    """Return TICKETS, or None where it is not set. Raises Refusal for what is no number."""
    tickets = os.environ.get("TICKETS")
    if tickets is None:
        return None
    if not tickets.isdecimal() or int(tickets) < 1000:
        raise Refusal(f"TICKETS is {tickets!r}, but must be a number, 1000 or more")
    return int(tickets)


if __name__ == "__main__":
    main()
