"""What only step 3 has: a read model projected in the request, with its guard and its gap."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from step_03_projections.database import connect
from step_03_projections.main import app
from step_03_projections.projections import catch_up, project

from .lanes import Lane
from .recount import Document, recount, served, tickets_of_step_1
from .servers import run_to_end, serve
from .simulation import World, run_alone

TICKET = {"customer_id": "c-42", "subject": "No invoice", "message": "It never came"}
CHANGES = [
    ("status", {"new_status": "triaged"}),
    ("agent-note", {"note": "Sent again"}),
    ("status", {"new_status": "open"}),
    ("agent-note", {"note": ""}),
]
CLOSE = ("status", {"new_status": "closed"})
# With the first write that each of them makes.
CREATE = ("POST", "/tickets", TICKET, "insert tickets")
UPDATE = (
    "PATCH",
    "/tickets/{id}",
    {"status": "closed", "agent_note": "!"},
    "findAndModify tickets",
)


@pytest.fixture
def db(mongo: MongoClient[dict[str, Any]], database: str) -> Database[Document]:
    return mongo[database]


@pytest.fixture
def tickets(db: Database[Document]) -> Collection[Document]:
    """The tickets that step 1 left in the database yesterday."""
    db.tickets.insert_many(tickets_of_step_1(30))
    return db.tickets


def versions_of(ticket: Document) -> list[Document]:
    return [
        {**ticket, "version": version, "status": status}
        for version, status in enumerate(("open", "triaged", "closed"), start=1)
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_row_gives_way_only_to_a_newer_version(
    order: tuple[int, ...], mongod: str, db: Database[Document]
) -> None:
    async def project_in_order() -> None:
        async with connect(mongod, db.name) as database:
            await catch_up(database)
            for number in order:
                await project(database, versions[number])

    versions = versions_of({"_id": 1, **tickets_of_step_1(1)[0]})
    asyncio.run(project_in_order())
    assert [row["version"] for row in db.ticket_list.find()] == [3]
    assert db.dashboard.find_one({}, {"_id": 0}) == {"open": 0, "triaged": 0, "closed": 1}


def test_versions_that_are_projected_at_once_count_once(lane: Lane) -> None:
    versions = versions_of({"_id": 1, **tickets_of_step_1(1)[0]})
    nothing = {"_id": "dashboard", "open": 0, "triaged": 0, "closed": 0}
    for seed in range(lane.schedules):
        world = World(seed)
        run_alone(world.dashboard.insert_one(nothing))
        world.run([partial(project, world.read, each) for each in versions])
        assert run_alone(world.ticket_list.distinct("version")) == [3], seed
        counts = run_alone(world.dashboard.find_one({}, {"_id": 0}))
        assert counts == {"open": 0, "triaged": 0, "closed": 1}, seed


def test_requests_at_once_on_a_few_tickets_leave_what_a_recount_finds(
    tickets: Collection[Document],
) -> None:
    paths = [f"/tickets/{ticket['_id']}" for ticket in tickets.find({"status": "open"}, limit=4)]
    changes = [(path, *change) for path in paths for change in CHANGES] * 12
    changes += [(path, *CLOSE) for path in paths] * 2
    with serve("step_03_projections.main:app", "--workers", "2") as server:

        def send(change: tuple[str, str, dict[str, str]]) -> int:
            path, route, body = change
            return server.http.post(f"{path}/{route}", json=body).status_code

        with ThreadPoolExecutor(20) as threads:
            assert set(threads.map(send, changes)) <= {204, 409}
        assert served(server.http) == recount(tickets)


def test_a_crash_before_its_projection_leaves_the_list_behind_until_it_is_rebuilt(
    tickets: Collection[Document],
) -> None:
    with TestClient(app) as http:
        before = served(http)
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        crashed = tickets.find({"status": "open"})[0]
        change = {"status": "closed", "updated_at": an_hour_ago}
        tickets.update_one(crashed, {"$set": change, "$inc": {"version": 1}})
        assert http.get(f"/tickets/{crashed['_id']}").json()["status"] == "closed"
        assert served(http) == before
        assert http.post("/tickets", json=TICKET).status_code == 201
    with TestClient(app) as http:
        assert served(http) != recount(tickets)
    rebuilt = run_to_end("step_03_projections.rebuild")
    assert rebuilt.returncode == 0
    assert "31/31" in rebuilt.stdout  # the progress bar
    with TestClient(app) as http:
        assert served(http) == recount(tickets)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("command", [CREATE, UPDATE], ids=lambda command: command[0])
def test_a_worker_that_dies_at_a_write_leaves_this_behind_until_it_is_rebuilt(
    command: tuple[str, str, Document, str], number: int, moment: str, tickets: Collection[Document]
) -> None:
    method, path, body, first = command
    writes = [first, "findAndModify ticket_list", "update dashboard"]
    open_ticket = tickets.find({"status": "open"})[0]
    path = path.format(id=open_ticket["_id"])
    with TestClient(app) as another_worker:
        dies = ("tests.dying", moment, str(number), first)
        with serve("step_03_projections.main:app", through=dies) as worker:
            before = served(another_worker)
            with pytest.raises(httpx2.TransportError):
                worker.http.request(method, path, json=body)
            assert f"Died {moment} {writes[number - 1]}" in worker.log.read_text()
        done = writes[: number if moment == "after" else number - 1]

        truth = recount(tickets)
        assert (truth != before) == (writes[0] in done)
        rows = truth if writes[1] in done else before
        counts = truth if writes[2] in done else before
        left_behind = rows | {"dashboard": counts["dashboard"]}
        assert served(another_worker) == left_behind
        assert another_worker.post("/tickets", json=TICKET).status_code == 201
        assert (served(another_worker) == recount(tickets)) == (left_behind == truth)
    assert run_to_end("step_03_projections.rebuild").returncode == 0
    with TestClient(app) as http:
        assert served(http) == recount(tickets)


def test_a_build_that_was_killed_is_finished_at_the_next_start(
    db: Database[Document], tickets: Collection[Document]
) -> None:
    with TestClient(app):
        pass
    # The counts come last, so that this is what a build leaves that was killed.
    db.dashboard.drop()
    db.ticket_list.delete_many({"status": "triaged"})
    # And this is what step 1 does when it is started next.
    closed_now = {"status": "closed", "updated_at": datetime.now(UTC)}
    tickets.update_one({"status": "open"}, {"$set": closed_now})
    with TestClient(app) as http:
        assert served(http) == recount(tickets)
