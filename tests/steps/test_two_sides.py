"""What only step 4 has: two sides, a projector between them, and commands that wait for it."""

import asyncio
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from step_04_full_cqrs.main import app
from step_04_full_cqrs.query_api import app as query_side
from workbench.mongod import free_port, start_mongod

from ..support.recount import Document, recount, served, tickets_of_step_1
from ..support.requests import NEW_TICKET, create
from ..support.servers import Server, at_once, paused, running, serve, wait_until
from ..support.sides import (
    CLOSE,
    COMMAND_SIDE,
    PROJECTOR,
    QUERY_SIDE,
    SERVICE,
    both_sides,
)

PATIENCE = 1.0  # seconds that a command waits for its projection


def test_two_sides_and_a_projector_are_together_what_the_service_is(
    tickets: Collection[Document],
) -> None:
    sides = at_once(serve(COMMAND_SIDE), serve(QUERY_SIDE))
    with running(PROJECTOR), sides as (command_side, query_side), TestClient(app) as service:
        commands, queries = (
            side.http.get("/openapi.json").json()["paths"] for side in (command_side, query_side)
        )
        assert {method for path in commands.values() for method in path} == {"post", "patch"}
        assert {method for path in queries.values() for method in path} == {"get"}
        both = {path: queries.get(path, {}) | commands.get(path, {}) for path in queries | commands}
        assert both == service.get("/openapi.json").json()["paths"]

        ticket = create(command_side.http)
        path = f"/tickets/{ticket['id']}"
        assert query_side.http.get(path).json() == ticket
        for method, route, body, status in (
            ("POST", "/status", {"new_status": "triaged"}, 204),
            ("POST", "/agent-note", {"note": "Sent again"}, 204),
            ("PATCH", "", CLOSE, 200),
            ("PATCH", "", {"status": "open"}, 409),
        ):
            answer = command_side.http.request(method, path + route, json=body)
            assert answer.status_code == status
            assert served(query_side.http) == recount(tickets) == served(service)


@pytest.mark.usefixtures("database")
def test_a_service_that_is_told_to_stop_in_the_midst_of_projecting_stops() -> None:
    with serve(SERVICE) as server:
        for _ in range(10):
            server.http.post("/tickets", json=NEW_TICKET, headers={"Prefer": "respond-async"})
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: os.waitpid(server.pid, os.WNOHANG) != (0, 0))


# The query side only reads


def contents(db: Database[Document]) -> Document:
    return {
        name: (db[name].find().to_list(), db[name].index_information())
        for name in db.list_collection_names()
    }


def ask_everything(tickets: Collection[Document]) -> None:
    with TestClient(query_side) as http:
        served(http)
        for ticket in tickets.find():
            assert http.get(f"/tickets/{ticket['_id']}").status_code == 200


def test_the_query_side_builds_nothing_where_there_is_nothing(
    tickets: Collection[Document], mongo: MongoClient[Document]
) -> None:
    ask_everything(tickets)
    assert not [each for each in mongo.list_database_names() if tickets.database.name in each]
    tickets.insert_many(tickets_of_step_1(3))
    before = contents(tickets.database)
    ask_everything(tickets)
    assert contents(tickets.database) == before
    assert f"{tickets.database.name}_read" not in mongo.list_database_names()


@pytest.mark.parametrize("lost", [None, "ticket_reads", "dashboard"])
def test_the_query_side_mends_nothing(
    lost: str | None, tickets: Collection[Document], read_side: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(3))
    with TestClient(app):
        pass
    tickets.update_many({}, {"$set": {"status": "closed"}})  # nobody projects that
    if lost:
        read_side[lost].drop()
    before = contents(tickets.database), contents(read_side)
    ask_everything(tickets)
    assert (contents(tickets.database), contents(read_side)) == before


# What a command waits for


@pytest.mark.parametrize(
    ("prefer", "waits"),
    [
        ("respond-async", False),
        ("Respond-Async", False),
        ("respond-async, wait=10", False),
        ("handling=lenient;strictly,respond-async ; now", False),
        ("wait=10", True),
        ("not-respond-async", True),
    ],
)
@pytest.mark.usefixtures("database")
def test_a_command_that_prefers_to_respond_asynchronously_does_not_wait(
    prefer: str, waits: bool
) -> None:
    with TestClient(both_sides) as http:
        start = time.monotonic()
        answer = http.post("/tickets", json=NEW_TICKET, headers={"Prefer": prefer})
        elapsed = time.monotonic() - start
    assert answer.status_code == 201
    assert (elapsed >= PATIENCE) == waits


@pytest.mark.usefixtures("database")
def test_it_may_say_so_in_a_header_of_its_own() -> None:
    with TestClient(both_sides) as http:
        start = time.monotonic()
        prefer = [("Prefer", "wait=10"), ("Prefer", "respond-async")]
        assert http.post("/tickets", json=NEW_TICKET, headers=prefer).status_code == 201
        assert time.monotonic() - start < PATIENCE


def test_a_command_does_not_wait_for_what_others_write_elsewhere(
    tickets: Collection[Document],
) -> None:
    elsewhere = tickets.database.elsewhere

    def write() -> None:
        while not done:
            elsewhere.insert_one({})

    done = False
    with TestClient(app) as http, ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write) for _ in range(4)]
        try:
            wait_until(lambda: elsewhere.estimated_document_count() > 100)
            waits = []
            for _ in range(9):
                start = time.monotonic()
                create(http)
                waits.append(time.monotonic() - start)
        finally:
            done = True
    for writer in writers:
        writer.result()
    assert sorted(waits)[4] < PATIENCE


def send_at_once(server: Server, prefer: str = "wait=10") -> float:
    """Send 500 commands. Return the longest time between the write of one and its answer."""
    body = json.dumps(NEW_TICKET)
    request = (
        f"POST /tickets HTTP/1.1\r\nHost: step\r\nConnection: close\r\nPrefer: {prefer}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )

    async def send() -> float:
        # Without httpx2: it takes longer for a request than the service does.
        reader, writer = await asyncio.open_connection("127.0.0.1", server.http.base_url.port)
        writer.write(request.encode())
        head, ticket = (await reader.read()).split(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 201 ")
        written = datetime.fromisoformat(json.loads(ticket)["updated_at"])
        return (datetime.now(UTC) - written).total_seconds()

    async def send_all() -> list[float]:
        return await asyncio.gather(*(send() for _ in range(500)))

    return max(asyncio.run(send_all()))


@pytest.mark.usefixtures("database")
def test_no_command_of_500_at_once_waits_more_than_a_second_after_its_own_write(
    tmp_path: Path,
) -> None:
    with (
        start_mongod(tmp_path, free_port()) as read,
        serve(COMMAND_SIDE, READ_MONGODB_URI=read.uri) as server,
    ):
        without_waiting = send_at_once(server, "respond-async")

        def assert_none_waits_longer() -> None:
            at_most = PATIENCE + without_waiting + 0.5
            # Three tries: other processes may keep the machine busier than it was at first.
            assert any(PATIENCE <= send_at_once(server) < at_most for _ in range(3))

        assert_none_waits_longer()  # while nobody projects
        with paused(read.process):
            assert_none_waits_longer()
        read.process.kill()
        read.process.wait()
        assert_none_waits_longer()
