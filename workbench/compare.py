"""What each request makes MongoDB do, step by step."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import httpx2
from pymongo import MongoClient
from rich import box
from rich.table import Table
from tqdm import tqdm

from .errors import Refusal
from .mongod import free_port, start_mongod
from .processes import running
from .tickets import draw_tickets
from .xray import HEADER

REPOSITORY = Path(__file__).resolve().parent.parent
SEED = 1  # the same tickets for every step, and in every run
NOW = datetime(2026, 11, 20, 17, tzinfo=UTC)
PATIENCE = 60  # seconds
NOTE = (
    "Examined and written are numbers of documents. KB is the BSON of the documents that "
    "MongoDB returned. Two things are not counted: commands that wait look up the position, and "
    "a projector with nothing to do looks at the log and moves its position."
)

Document = dict[str, Any]

# The name of each request, and what is sent. {id} is the newest open ticket.
REQUESTS: dict[str, Document | None] = {
    "GET /tickets": None,
    "GET /tickets?status=open": None,
    "GET /tickets?has_note=true": None,
    "GET /tickets?skip=500": None,
    "GET /dashboard": None,
    "GET /tickets/{id}": None,
    "PATCH /tickets/{id}": {"status": "triaged", "agent_note": "Told them to leave the room."},
    "POST /tickets/{id}/agent-note": {"note": "The fire is out."},
    "POST /tickets/{id}/status": {"new_status": "closed"},
    "POST /tickets": {"customer_id": "c-42", "subject": "Printer on fire", "message": "It burns."},
}


@dataclass
class Row:
    """What one request made MongoDB do in one step, or in its projector."""

    request: str
    step: str  # "1" to "4", or "4, projector"
    commands: list[str]  # each with its collection: "find tickets"
    documents_examined: int
    documents_written: int
    bytes_read: int  # BSON of the documents returned


def compare(steps: dict[int, str], number: int) -> list[Row]:
    """Send each request once to each step, and return the rows. Steps begin with `number` tickets.

    All this runs on a separate mongod, where each step has its own databases. A row only holds
    what repeats exactly. Raises Refusal if mongod or a step does not start.
    """
    tickets = list(draw_tickets(number, NOW, SEED))
    rows: list[Row] = []
    with (
        TemporaryDirectory() as data,
        start_mongod(Path(data), free_port()) as mongod,
        MongoClient[Document](mongod.uri) as client,
        tqdm(total=len(steps) * len(REQUESTS), unit=" requests") as bar,
    ):
        for step, folder in steps.items():
            bar.set_description(f"Step {step}")
            database = f"compare_{folder}"
            client[database].tickets.insert_many(tickets)
            with serve(folder, database, mongod.uri) as http:
                for request in REQUESTS:
                    rows += send(http, request, step)
                    bar.update()
    order = list(REQUESTS)
    return sorted(rows, key=lambda row: order.index(row.request))


@contextmanager
def serve(folder: str, database: str, mongodb_uri: str) -> Iterator[httpx2.Client]:
    """Serve a step as `run` does, and yield a client of it. Raises Refusal if it does not start."""
    port = free_port()
    environment = os.environ | {
        "STEP": folder,
        "PROJECTOR": "apart" if folder.startswith("step_04") else "",
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": database,
        "READ_MONGODB_URI": mongodb_uri,
        "READ_MONGODB_DATABASE": f"{database}_read",
    }
    command = [sys.executable, "-m", "uvicorn", "workbench.desk:app", "--port", str(port)]
    with (
        TemporaryFile("w+") as log,
        running(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log) as service,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http,
    ):
        while not answers(http):
            if service.poll() is not None:
                log.seek(0)
                raise Refusal(f"{folder} did not start:\n{log.read()}")
            time.sleep(0.1)
        yield http


def answers(http: httpx2.Client) -> bool:
    try:
        return http.get("/desk/state").is_success
    except httpx2.ConnectError:
        return False


def send(http: httpx2.Client, request: str, step: int) -> Iterator[Row]:
    """Send a request, and yield its row. For a command of step 4, yield the projector's row too.

    The projector's row comes once the change is projected.
    """
    method, path = request.split()
    if "{id}" in path:
        [newest] = http.get("/tickets", params={"status": "open", "limit": 1}).json()
        path = path.format(**newest)
    projected = latest_projection(http)
    headers = {"Prefer": "respond-async"}
    response = http.request(method, path, json=REQUESTS[request], headers=headers)
    response.raise_for_status()
    xray = http.get(f"/desk/requests/{response.headers[HEADER]}").json()
    yield to_row(request, str(step), xray["commands"])
    if step == 4 and method != "GET":
        deadline = time.monotonic() + PATIENCE
        while latest_projection(http) == projected:
            if time.monotonic() > deadline:
                raise Refusal(f"After {PATIENCE} s, {request} was not projected")
            time.sleep(0.01)
        projection = http.get(f"/desk/projections/{projected + 1}").json()
        yield to_row(request, "4, projector", projection["commands"])


def latest_projection(http: httpx2.Client) -> int:
    projections = http.get("/desk/state").json()["projections"]
    return int(projections[-1]["number"]) if projections else 0


def to_row(request: str, step: str, commands: list[Document]) -> Row:
    return Row(
        request,
        step,
        [f"{each['command']} {each['collection']}" for each in commands],
        sum(each["documents_examined"] for each in commands),
        sum(each["documents_written"] for each in commands),
        sum(each["bytes_returned"] for each in commands),
    )


def kilobytes(size: int) -> str:
    return f"{size / 1000:,.1f}"


def to_table(rows: list[Row]) -> Table:
    table = Table(
        box=box.SIMPLE, show_edge=False, padding=(0, 0, 0, 1), caption=NOTE, caption_justify="left"
    )
    table.add_column("request", no_wrap=True)
    table.add_column("calls", no_wrap=True)
    for column in "examined", "written", "KB":
        table.add_column(column, justify="right", no_wrap=True)
    for request, of_request in groupby(rows, key=lambda row: row.request):
        table.add_section()
        table.add_row(request, style="bold")
        for row in of_request:
            table.add_row(
                f"  step {row.step}",
                "\n".join(row.commands),
                f"{row.documents_examined:,}",
                f"{row.documents_written:,}",
                kilobytes(row.bytes_read),
            )
    return table
