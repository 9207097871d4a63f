"""The processes that are measured: served as users serve them, and always ended."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import psutil
from bson import Timestamp
from pymongo import MongoClient

from workbench.errors import Refusal
from workbench.mongod import free_port
from workbench.processes import running

from .data import Document

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Service:
    name: str  # as the results call it
    app: str
    database: str

    @property
    def read_database(self) -> str:
        return f"{self.database}_read"


STEPS = [
    Service("step 1", "step_01_crud.main:app", "bench_1"),
    Service("step 2", "step_02_split_handlers.main:app", "bench_2"),
    Service("step 3", "step_03_projections.main:app", "bench_3"),
    Service("step 4", "step_04_full_cqrs.main:app", "bench_4"),
]
# The same on one collection of tickets, as readers hop from step to step.
SHARED = [replace(step, database="bench_shared") for step in STEPS]
EXTERNAL = Service("step 4, external projector", "benchmarks.both_sides:app", "bench_apart")
FLOOR = Service("driver call only", "benchmarks.floors:app", "bench_4")
FLOOR_OF_COMMANDS = Service("driver call only", "benchmarks.floors:app", "bench_floor")


def environment(service: Service, uri: str) -> dict[str, str]:
    return {
        "MONGODB_URI": uri,
        "MONGODB_DATABASE": service.database,
        "READ_MONGODB_URI": uri,
        "READ_MONGODB_DATABASE": service.read_database,
    }


def run(
    module: str, *arguments: str, **environment: str
) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """Run a Python module until the block ends."""
    command = [sys.executable, "-m", module, *arguments]
    return running(command, cwd=REPOSITORY, env=os.environ | environment)


@contextmanager
def serve(service: Service, uri: str) -> Iterator[tuple[str, float]]:
    """Serve until the block ends; yield the URL and the seconds from start to first answer."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [service.app, "--port", str(port), "--workers", "1"]
    arguments += ["--no-access-log", "--log-level", "warning"]
    with httpx2.Client(base_url=url, timeout=60) as http:
        start = time.monotonic()
        with run("uvicorn", *arguments, **environment(service, uri)) as process:
            while not answers(http):
                if process.poll() is not None:
                    raise Refusal(f"{service.name} did not start")
                time.sleep(0.01)
            yield url, time.monotonic() - start


def answers(http: httpx2.Client) -> bool:
    try:
        http.get("/tickets", params={"limit": 1})
    except httpx2.ConnectError:
        return False
    return True


@contextmanager
def project(service: Service, client: MongoClient[Document], uri: str) -> Iterator[None]:
    """Run a projector for this service until the block ends, from when it has caught up."""
    with run("step_04_full_cqrs.projector", **environment(service, uri)):
        wait_until_projected(service, client)
        yield


def wait_until_projected(service: Service, client: MongoClient[Document]) -> float:
    """Wait until step 4 has projected all changes so far; return the seconds that it took."""
    start = time.monotonic()
    wait_for_position(service, client, touch(service, client))
    return round(time.monotonic() - start, 3)


def touch(service: Service, client: MongoClient[Document]) -> Timestamp:
    """Change a ticket, and return the moment. The position moves with changes of tickets only."""
    with client.start_session() as session:
        client[service.database].tickets.update_one({}, {"$inc": {"touched": 1}}, session=session)
        assert session.operation_time
        return session.operation_time


def wait_for_position(service: Service, client: MongoClient[Document], moment: Timestamp) -> None:
    """Wait until the read side has come to a moment in MongoDB's log."""
    deadline = time.monotonic() + 600
    dashboard = client[service.read_database].dashboard
    while dashboard.find_one({"at": {"$gte": moment}}) is None:
        if time.monotonic() > deadline:
            raise Refusal(f"{service.name} did not project all its changes in time")
        time.sleep(0.01)


def rebuilding(service: Service, uri: str) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """Rebuild a read model beside what the block does."""
    return run(f"{service.app.partition('.')[0]}.rebuild", **environment(service, uri))


def wait_until_rebuilding(
    service: Service, client: MongoClient[Document], moment: Timestamp
) -> None:
    """Wait until a rebuild that began after a moment in MongoDB's log has written rows."""
    rows = client[service.read_database].ticket_reads
    while rows.find_one({"as_of": {"$gt": moment}}) is None:
        time.sleep(0.1)


def rebuild(service: Service, uri: str) -> Document:
    """Rebuild a read model; return the seconds that it took and the most memory it had."""
    peak = 0
    start = time.monotonic()
    with rebuilding(service, uri) as process:
        while process.poll() is None:
            # Looked at again and again, since ru_maxrss would also count what we had as we forked.
            with suppress(psutil.Error):
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            time.sleep(0.02)
    if process.returncode:
        raise Refusal(f"The rebuild of {service.name} ended with status {process.returncode}")
    return {"seconds": round(time.monotonic() - start, 3), "peak_mb": round(peak / 1e6, 1)}
