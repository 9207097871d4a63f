"""The processes that are measured: served as users serve them, ended whatever happens."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
from pymongo.collection import Collection

from tests.servers import free_port
from workbench.errors import Refusal
from workbench.processes import running

from .data import Document

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Service:
    name: str  # as the results call it
    app: str
    database: str
    projector: str = "inline"


STEPS = [
    Service("step 1", "step_01_crud.main:app", "bench_1"),
    Service("step 2", "step_02_split_handlers.main:app", "bench_2"),
    Service("step 3", "step_03_projections.main:app", "bench_3"),
    Service("step 4", "step_04_full_cqrs.main:app", "bench_4"),
]
QUERY_SIDE = Service("step 4, query side alone", "step_04_full_cqrs.query_api:app", "bench_apart")
COMMAND_SIDE = Service(
    "step 4, command side alone", "step_04_full_cqrs.command_api:app", "bench_apart"
)
EXTERNAL = Service(
    "step 4, external projector", "step_04_full_cqrs.main:app", "bench_external", "external"
)
FLOOR = Service("driver call only", "benchmarks.floors:app", "bench_3")
FLOOR_OF_COMMANDS = Service("driver call only", "benchmarks.floors:app", "bench_floor")


def environment(service: Service, uri: str) -> dict[str, str]:
    return {
        "MONGODB_URI": uri,
        "MONGODB_DATABASE": service.database,
        "READ_MONGODB_URI": uri,
        "READ_MONGODB_DATABASE": f"{service.database}_read",
        "PROJECTOR": service.projector,
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
def project(service: Service, uri: str, tickets: Collection[Document]) -> Iterator[None]:
    """Run a projector for this service until the block ends, from when it has caught up."""
    tickets.find_one_and_update({}, {"$set": {"unprojected": True}})  # to see it at work
    with run("step_04_full_cqrs.projector", **environment(service, uri)):
        wait_until_projected(tickets)
        yield


def wait_until_projected(tickets: Collection[Document]) -> float:
    """Wait until step 4 has marked no ticket; return the seconds that it took."""
    start = time.monotonic()
    while tickets.find_one({"unprojected": True}, hint=[("unprojected", 1)]):
        if time.monotonic() > start + 600:
            raise Refusal("The projector does not get done with the marked tickets")
        time.sleep(0.01)
    return round(time.monotonic() - start, 3)


def rebuild(service: Service, uri: str) -> Document:
    """Rebuild a read model; return the seconds that it took and the most memory it had."""
    module = service.app.replace(".main:app", ".rebuild")
    peak = 0
    start = time.monotonic()
    with run(module, **environment(service, uri)) as process:
        while process.poll() is None:
            # Looked at again and again, since ru_maxrss would also count what we had as we forked.
            with suppress(psutil.Error):
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            time.sleep(0.02)
    if process.returncode:
        raise Refusal(f"{module} ended with status {process.returncode}")
    return {"seconds": round(time.monotonic() - start, 3), "peak_mb": round(peak / 1e6, 1)}
