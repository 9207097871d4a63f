"""What only step 3 has: each request writes the row of its ticket, with a guard and a gap."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from traceback import format_exception

import httpx2
import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from step_03_projections.database import connect
from step_03_projections.main import app
from step_03_projections.projections import project_ticket, to_row
from workbench.mongod import free_port, start_mongod

from ..support.recount import Document, recount, served, tickets_of_step_1
from ..support.requests import NEW_TICKET
from ..support.servers import at_once, run_to_end, serve

APP = "step_03_projections.main:app"
REBUILD = "step_03_projections.rebuild"
CHANGES = [
    ("status", {"new_status": "triaged"}),
    ("agent-note", {"note": "Sent again"}),
    ("status", {"new_status": "open"}),
    ("agent-note", {"note": ""}),
]
CLOSE = ("status", {"new_status": "closed"})
# Requests, each with its first write.
CREATE = ("POST", "/tickets", NEW_TICKET, "insert tickets")
UPDATE = (
    "PATCH",
    "/tickets/{id}",
    {"status": "closed", "agent_note": "!"},
    "findAndModify tickets",
)


@pytest.fixture
def db(mongo: MongoClient[Document], database: str) -> Database[Document]:
    return mongo[database]


@pytest.fixture
def tickets(db: Database[Document]) -> Collection[Document]:
    """The tickets that step 1 left in the database yesterday."""
    db.tickets.insert_many(tickets_of_step_1(30))
    return db.tickets


def versions_of(ticket_id: int, number: int) -> list[Document]:
    """Return a ticket as it was after each of its changes."""
    ticket = tickets_of_step_1(1)[0] | {"_id": ticket_id}
    return [{**ticket, "version": each, "subject": f"{each}"} for each in range(1, number + 1)]


# The guard


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_row_is_only_replaced_by_a_newer_version(
    order: tuple[int, ...], mongod: str, db: Database[Document]
) -> None:
    async def project_in_order() -> None:
        async with connect(mongod, db.name) as database:
            for number in order:
                await project_ticket(database, versions[number])

    versions = versions_of(1, 3)
    asyncio.run(project_in_order())
    assert [row["subject"] for row in db.ticket_reads.find()] == ["3"]


def test_of_versions_that_are_projected_at_once_the_newest_remains(
    mongod: str, db: Database[Document]
) -> None:
    async def project_at_once() -> None:
        async with connect(mongod, db.name) as database:
            for ticket_id in range(30):
                versions = versions_of(ticket_id, 10)
                random.shuffle(versions)
                await asyncio.gather(*(project_ticket(database, each) for each in versions))

    asyncio.run(project_at_once())
    assert [row["subject"] for row in db.ticket_reads.find()] == 30 * ["10"]


@pytest.mark.usefixtures("mongod")
def test_an_older_row_that_comes_between_look_up_and_insert_is_replaced(tmp_path: Path) -> None:
    async def project_both(uri: str) -> None:
        async with connect(uri, "support") as database:
            admin = database.client.admin
            await admin.command("configureFailPoint", between, mode="alwaysOn")
            projecting = asyncio.create_task(project_ticket(database, newer))
            await admin.command("waitForFailPoint", between, timesEntered=1, maxTimeMS=10_000)
            await database.ticket_reads.insert_one(to_row(older))
            await admin.command("configureFailPoint", between, mode="off")
            await projecting
            assert [row["subject"] async for row in database.ticket_reads.find()] == ["2"]

    between = "hangBeforeUpsertPerformsInsert"
    older, newer = versions_of(1, 2)
    with start_mongod(tmp_path, free_port(), "--setParameter", "enableTestCommands=1") as own:
        asyncio.run(project_both(own.uri))


def test_requests_at_once_on_a_few_tickets_leave_what_a_recount_finds(
    tickets: Collection[Document],
) -> None:
    paths = [f"/tickets/{ticket['_id']}" for ticket in tickets.find({"status": "open"}, limit=4)]
    changes = [(path, *change) for path in paths for change in CHANGES] * 12
    changes += [(path, *CLOSE) for path in paths] * 2
    with serve(APP, "--workers", "2") as server:

        def send(change: tuple[str, str, dict[str, str]]) -> int:
            path, route, body = change
            return server.http.post(f"{path}/{route}", json=body).status_code

        with ThreadPoolExecutor(20) as threads:
            assert set(threads.map(send, changes)) <= {204, 409}
        assert served(server.http) == recount(tickets)


# The gap


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("command", [CREATE, UPDATE], ids=lambda command: command[0])
def test_a_worker_that_dies_at_a_write_leaves_the_row_behind_until_the_next_start(
    command: tuple[str, str, Document, str], number: int, moment: str, tickets: Collection[Document]
) -> None:
    method, path, body, first = command
    writes = [first, "update ticket_reads"]
    path = path.format(id=tickets.find({"status": "open"})[0]["_id"])
    with TestClient(app) as another_worker:
        dies = ("tests.support.dying", moment, str(number), first)
        with serve(APP, through=dies) as worker:
            before = served(another_worker)
            with pytest.raises(httpx2.TransportError):
                worker.http.request(method, path, json=body)
            assert f"Died {moment} {writes[number - 1]}" in worker.log.read_text()
        done = writes[: number if moment == "after" else number - 1]

        truth = recount(tickets)
        assert (truth != before) == (writes[0] in done)
        left_behind = truth if writes[1] in done else before
        assert served(another_worker) == left_behind
        assert another_worker.post("/tickets", json=NEW_TICKET).status_code == 201
        assert (served(another_worker) == recount(tickets)) == (left_behind == truth)
    with TestClient(app) as http:
        assert served(http) == recount(tickets)


# Building


def test_four_workers_that_start_at_once_while_another_works_build_one_right_read_model(
    db: Database[Document],
) -> None:
    db.tickets.insert_many(tickets_of_step_1(1200))  # more than two batches
    an_open_one = f"/tickets/{db.tickets.find({'status': 'open'}).sort('_id', -1)[0]['_id']}"
    with TestClient(app) as first, ThreadPoolExecutor() as threads:

        def work() -> int:
            number = 0
            while not started:
                assert first.post("/tickets", json=NEW_TICKET).status_code == 201
                assert first.patch(an_open_one, json={"agent_note": f"{number}"}).is_success
                number += 1
            return number

        started = False
        db.ticket_reads.drop()
        working = threads.submit(work)
        try:
            with at_once(*(TestClient(app) for _ in range(4))) as workers:
                started = True
                assert working.result() > 1
                assert served(workers[0]) == recount(db.tickets)
        finally:
            started = True


def test_a_start_that_was_killed_in_the_midst_of_its_build_is_made_good_by_the_next(
    db: Database[Document],
) -> None:
    db.tickets.insert_many(tickets_of_step_1(1200))
    dies = ("tests.support.dying", "before", "2", "update ticket_reads", "uvicorn", APP)
    died = run_to_end(*dies, "--port", str(free_port()))
    assert "Died before update ticket_reads" in died.stdout
    assert db.ticket_reads.count_documents({}) == 500
    with TestClient(app) as http:
        assert served(http) == recount(db.tickets)


def test_a_rebuild_begins_with_nothing_and_shows_how_far_it_is(
    db: Database[Document], tickets: Collection[Document]
) -> None:
    with TestClient(app):
        pass
    an_orphan = {**db.ticket_reads.find()[0], "_id": ObjectId()}
    too_new = {"version": 1000, "subject": "?", "status": "closed"}
    db.ticket_reads.update_many({"status": "open"}, {"$set": too_new})
    db.ticket_reads.insert_one(an_orphan)
    with TestClient(app) as http:
        assert served(http) != recount(tickets)  # a start trusts the rows that are there
    rebuilt = run_to_end(REBUILD)
    assert rebuilt.returncode == 0
    assert "30/30" in rebuilt.stdout
    with TestClient(app) as http:
        assert served(http) == recount(tickets)


@pytest.mark.parametrize("status", [None, 5, "", "lost", "at", "a.b"])
def test_a_start_fails_on_a_ticket_that_cannot_be_shown_and_says_which_it_is(
    status: object, tickets: Collection[Document]
) -> None:
    [_, unreadable, *_] = tickets.find()
    tickets.update_one({"_id": unreadable["_id"]}, {"$set": {"status": status}})
    with pytest.raises(ValueError, match="status") as failure, TestClient(app):
        pass
    assert str(unreadable["_id"]) in "".join(format_exception(failure.value))


def test_what_a_failed_start_prints_names_the_ticket(tickets: Collection[Document]) -> None:
    empty = tickets.insert_one({}).inserted_id
    failed = run_to_end("uvicorn", APP, "--port", str(free_port()))
    assert failed.returncode != 0
    assert str(empty) in failed.stdout
