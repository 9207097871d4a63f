"""What only step 4 has: two sides, a mark between them, and projectors that come, go and die."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from mirakuru.exceptions import ProcessExitedWithError
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from step_04_full_cqrs.main import app

from .lanes import Lane
from .recount import Document, read_list, recount, served, tickets_of_step_1
from .requests import NEW_TICKET
from .servers import Server, paused, run_to_end, running, serve, wait_until

SERVICE = "step_04_full_cqrs.main:app"
COMMAND_SIDE = "step_04_full_cqrs.command_api:app"
QUERY_SIDE = "step_04_full_cqrs.query_api:app"
PROJECTOR = "step_04_full_cqrs.projector"
REBUILD = "step_04_full_cqrs.rebuild"

CLOSE = {"status": "closed", "agent_note": "Sent again"}
REBUILDING = {"rebuild": {"$ne": None}}


@pytest.fixture
def tickets(database: str, mongo: MongoClient[Document]) -> Collection[Document]:
    return mongo[database].tickets


@pytest.fixture
def read(database: str, mongo: MongoClient[Document]) -> Database[Document]:
    return mongo[f"{database}_read"]


@pytest.fixture
def service(database: str) -> Iterator[TestClient]:
    """A client of the service, which projects by itself."""
    with TestClient(app) as http:
        yield http


@pytest.fixture
def service_alone(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of the service where projectors of their own are to project, and none runs."""
    monkeypatch.setenv("PROJECTOR", "external")
    with TestClient(app) as http:
        yield http


@pytest.fixture
def built(tickets: Collection[Document]) -> Collection[Document]:
    """Tickets whose read model has been built."""
    tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app):
        pass
    return tickets


def wait_until_projected(tickets: Collection[Document]) -> None:
    wait_until(lambda: tickets.find_one({"unprojected": True}) is None)


def wait_until_logged(what: str, server: Server) -> None:
    wait_until(lambda: what in server.log.read_text())


# Two sides


def test_two_sides_and_a_projector_are_together_what_the_service_is(
    tickets: Collection[Document], service_alone: TestClient
) -> None:
    with (
        serve(COMMAND_SIDE, PROJECTOR="external") as command_side,
        serve(QUERY_SIDE) as query_side,
        running(PROJECTOR),
    ):
        commands, queries = (
            side.http.get("/openapi.json").json()["paths"] for side in (command_side, query_side)
        )
        assert {method for path in commands.values() for method in path} == {"post", "patch"}
        assert {method for path in queries.values() for method in path} == {"get"}
        both = {path: queries.get(path, {}) | commands.get(path, {}) for path in queries | commands}
        assert both == service_alone.get("/openapi.json").json()["paths"]

        ticket = command_side.http.post("/tickets", json=NEW_TICKET)
        path = ticket.headers["Location"]
        assert query_side.http.get(path).json() == ticket.json()
        for method, route, body, status in (
            ("POST", "/status", {"new_status": "triaged"}, 204),
            ("POST", "/agent-note", {"note": "Sent again"}, 204),
            ("PATCH", "", CLOSE, 200),
            ("PATCH", "", {"status": "open"}, 409),
        ):
            answer = command_side.http.request(method, path + route, json=body)
            assert answer.status_code == status
            assert served(query_side.http) == recount(tickets) == served(service_alone)


def test_the_read_side_is_where_read_mongodb_database_says(
    database: str, mongo: MongoClient[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = f"{database}_elsewhere"
    monkeypatch.setenv("READ_MONGODB_DATABASE", elsewhere)
    try:
        with TestClient(app) as http:
            http.post("/tickets", json=NEW_TICKET)
            assert served(http) == recount(mongo[database].tickets)
        assert mongo[elsewhere].ticket_list.count_documents({}) == 1
        assert f"{database}_read" not in mongo.list_database_names()
    finally:
        mongo.drop_database(elsewhere)


# What a command waits for


def test_commands_wait_a_second_for_their_projection_and_no_longer(
    tickets: Collection[Document],
) -> None:
    with serve(SERVICE, PROJECTOR="external") as server, ThreadPoolExecutor(20) as threads:

        def create(_number: int) -> httpx2.Response:
            return server.http.post("/tickets", json=NEW_TICKET, timeout=5)

        for answer in list(threads.map(create, range(20))):
            assert answer.status_code == 201
            assert answer.elapsed >= timedelta(seconds=1)
        assert read_list(server.http, {}) == []
        with running(PROJECTOR):
            wait_until_projected(tickets)
            assert served(server.http) == recount(tickets)


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
def test_a_command_that_prefers_to_respond_asynchronously_does_not_look_for_its_row(
    prefer: str, waits: bool, service_alone: TestClient, read: Database[Document]
) -> None:
    read.command("profile", 2)
    answer = service_alone.post("/tickets", json=NEW_TICKET, headers={"Prefer": prefer})
    read.command("profile", 0)
    assert answer.status_code == 201
    looks = read["system.profile"].find_one({"ns": f"{read.name}.ticket_list"})
    assert (looks is not None) == waits


# Crashes


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("method", "path", "body", "first", "third"),
    [
        ("POST", "/tickets", NEW_TICKET, "insert tickets", "insert ticket_list"),
        ("PATCH", "/tickets/{id}", CLOSE, "findAndModify tickets", "update ticket_list"),
    ],
)
def test_whatever_write_a_service_dies_at_another_projector_finishes_its_work(
    method: str,
    path: str,
    body: Document,
    first: str,
    third: str,
    moment: str,
    tickets: Collection[Document],
    service_alone: TestClient,
) -> None:
    path = path.format(id=service_alone.post("/tickets", json=NEW_TICKET).json()["id"])
    with running(PROJECTOR) as projector:
        wait_until_projected(tickets)
        writes = [first, "update dashboard", third, "update tickets"]
        for number, write in enumerate(writes, start=1):
            dies = ("tests.dying", moment, str(number), first)
            with (
                paused(projector),
                serve(SERVICE, through=dies, PROJECTOR="inline") as server,
            ):
                wait_until_projected(tickets)  # what its start had to do
                before = recount(tickets)
                with suppress(httpx2.TransportError):
                    server.http.request(method, path, json=body)
                wait_until_logged(f"Died {moment} {write}", server)
                assert (recount(tickets) == before) == ((moment, number) == ("before", 1))
            wait_until_projected(tickets)
            assert served(service_alone) == recount(tickets)


def build_nothing(tickets: Collection[Document], read: Database[Document]) -> None:
    read.client.drop_database(read)


def change_a_ticket_as_step_1(tickets: Collection[Document], read: Database[Document]) -> None:
    change = {"status": "triaged", "agent_note": "!", "updated_at": datetime.now(UTC)}
    tickets.update_one({"status": "open"}, {"$set": change})


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("prepare", "writes"), [(build_nothing, 6), (change_a_ticket_as_step_1, 5)]
)
def test_whatever_write_a_start_dies_at_the_next_start_finishes_its_work(
    prepare: Callable[[Collection[Document], Database[Document]], None],
    writes: int,
    moment: str,
    built: Collection[Document],
    read: Database[Document],
) -> None:
    for number in range(1, writes + 2):
        prepare(built, read)
        dies = ("tests.dying", moment, str(number), "update dashboard")
        try:
            with serve(SERVICE, through=dies):
                break
        except ProcessExitedWithError:
            with TestClient(app) as http:
                assert served(http) == recount(built)
    assert number == writes + 1


def work_until_killed(acknowledged: list[tuple[str, Document]]) -> None:
    """Let a service take writes, and kill it in the midst of them; note what it acknowledged."""

    def write(http: httpx2.Client) -> None:
        with suppress(httpx2.TransportError):
            while True:
                path = http.post("/tickets", json=NEW_TICKET).headers["Location"]
                acknowledged.append((path, NEW_TICKET))
                http.patch(path, json=CLOSE).raise_for_status()
                acknowledged.append((path, CLOSE))

    enough = len(acknowledged) + random.randint(1, 60)
    with serve(SERVICE, "--workers", "2") as server, ThreadPoolExecutor() as threads:
        writers = [threads.submit(write, server.http) for _ in range(4)]
        try:
            wait_until(lambda: len(acknowledged) >= enough)
        finally:
            os.killpg(server.pid, signal.SIGKILL)
    for writer in writers:
        writer.result()


@pytest.mark.timeout(1800)
def test_a_service_that_is_killed_again_and_again_loses_nothing_that_it_acknowledged(
    tickets: Collection[Document], lane: Lane
) -> None:
    acknowledged: list[tuple[str, Document]] = []
    for _ in range(lane.kills):
        work_until_killed(acknowledged)
    with TestClient(app) as http:
        for path, what in acknowledged:
            ticket = http.get(path).json()
            assert ticket == ticket | what
        assert served(http) == recount(tickets)
    assert tickets.find_one({"unprojected": True}) is None


def test_what_a_killed_service_began_another_one_finishes(
    tickets: Collection[Document], service: TestClient
) -> None:
    for _ in range(2):
        work_until_killed([])
        wait_until_projected(tickets)
        assert served(service) == recount(tickets)


@pytest.mark.timeout(30)
def test_a_service_that_is_told_to_stop_in_the_midst_of_projecting_stops(database: str) -> None:
    for _ in range(20):
        with TestClient(app) as http:
            http.post("/tickets", json=NEW_TICKET, headers={"Prefer": "respond-async"})


@pytest.mark.timeout(1800)
def test_three_projectors_that_are_killed_at_random_count_every_change_once(
    tickets: Collection[Document], service_alone: TestClient, lane: Lane
) -> None:
    def write() -> None:
        while not done:
            path = service_alone.post("/tickets", json=NEW_TICKET).headers["Location"]
            service_alone.patch(path, json=CLOSE).raise_for_status()

    done = False
    with ThreadPoolExecutor(2) as threads, ExitStack() as projectors_running:
        projectors = [projectors_running.enter_context(running(PROJECTOR)) for _ in range(3)]
        writers = [threads.submit(write) for _ in range(2)]
        try:
            for _ in range(lane.kills):
                time.sleep(random.uniform(0, 1))
                killed = random.randrange(3)
                projectors[killed].kill()
                projectors[killed] = projectors_running.enter_context(running(PROJECTOR))
        finally:
            done = True
        for writer in writers:
            writer.result()
        wait_until_projected(tickets)
        assert served(service_alone) == recount(tickets)


def test_a_first_build_that_was_killed_is_finished_before_the_port_opens(
    tickets: Collection[Document], read: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(2000))
    tickets.update_one({}, {"$set": {"updated_at": datetime.now(UTC)}})
    with running(PROJECTOR):
        wait_until(read.ticket_list.find_one)
    assert read.dashboard.find_one(REBUILDING)
    with TestClient(app) as http:
        assert served(http) == recount(tickets)


# A ticket that cannot be projected


@pytest.mark.parametrize(
    "damage",
    [
        {"$set": {"message": None}},
        {"$unset": {"message": ""}},
        {"$set": {"status": "lost"}},
        {"$set": {"message": None}, "$unset": {"version": ""}},
        {"$set": {"version": None}},
    ],
    ids=str,
)
def test_a_poison_ticket_is_parked_and_stops_no_other(
    damage: Document,
    tickets: Collection[Document],
    service: TestClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = {**tickets_of_step_1(1)[0], "_id": ObjectId(), "version": 1}
    poison = {"_id": whole["_id"]}
    tickets.insert_one(whole)
    tickets.update_one(poison, damage)
    tickets.update_one(poison, {"$set": {"unprojected": True}})

    other = service.post("/tickets", json=NEW_TICKET).json()
    assert [item["id"] for item in read_list(service, {})] == [other["id"]]
    assert service.get("/dashboard").json() == {"open": 1, "triaged": 0, "closed": 0}
    wait_until_projected(tickets)
    [parked] = tickets.find({"parked": {"$exists": True}})
    assert parked["_id"] == whole["_id"]
    assert f"{whole['_id']} is parked: {parked['parked']}" in caplog.text

    tickets.update_one(
        poison,
        {"$set": {each: whole[each] for each in ("message", "status", *damage.get("$set", ()))}},
    )
    assert run_to_end(REBUILD).returncode == 0
    assert served(service) == recount(tickets)
    assert tickets.find_one({"parked": {"$exists": True}}) is None


# Rebuilding


def spoil(read: Database[Document]) -> None:
    """Make rows and counts wrong, take rows away, and add one that belongs to no ticket."""
    wrong = {"subject": "?", "status": "closed", "has_note": True, "version": 1000}
    read.ticket_list.update_many({"status": "open"}, {"$set": wrong})
    read.ticket_list.delete_many({"status": "triaged", "has_note": False})
    read.ticket_list.insert_one({**read.ticket_list.find()[0], "_id": ObjectId()})
    read.dashboard.update_one({}, {"$inc": {"open": 7, "closed": -70}})


def lose_generations(read: Database[Document]) -> None:
    spoil(read)
    read.ticket_list.update_many({}, {"$unset": {"gen": ""}})


def lose_the_dashboard(read: Database[Document]) -> None:
    read.dashboard.drop()


def lose_everything(read: Database[Document]) -> None:
    read.client.drop_database(read)


@pytest.mark.parametrize("harm", [spoil, lose_generations, lose_the_dashboard, lose_everything])
def test_a_rebuild_mends_whatever_happened_to_the_read_model(
    harm: Callable[[Database[Document]], None],
    built: Collection[Document],
    read: Database[Document],
) -> None:
    harm(read)
    rebuilt = run_to_end(REBUILD)
    assert rebuilt.returncode == 0
    assert "30/30" in rebuilt.stdout  # the progress bar
    with TestClient(app) as http:
        assert served(http) == recount(built)


@pytest.mark.parametrize("harm", [lose_the_dashboard, lose_everything])
def test_a_read_model_that_was_lost_is_built_anew_at_the_next_start(
    harm: Callable[[Database[Document]], None],
    built: Collection[Document],
    read: Database[Document],
) -> None:
    harm(read)
    with TestClient(app) as http:
        assert served(http) == recount(built)


def test_a_rebuild_disturbs_neither_reads_nor_writes(tickets: Collection[Document]) -> None:
    tickets.insert_many(tickets_of_step_1(1500))
    with serve(SERVICE, "--workers", "2") as server, ThreadPoolExecutor() as threads:

        def look() -> tuple[Document, int]:
            left_alone: Document = {"status": "triaged", "has_note": True, "limit": 100}
            items = server.http.get("/tickets", params=left_alone)
            counts = server.http.get("/dashboard").raise_for_status()
            return items.raise_for_status().json(), counts.json()["triaged"]

        def write() -> None:
            while not rebuild.done():
                path = server.http.post("/tickets", json=NEW_TICKET).headers["Location"]
                server.http.patch(path, json=CLOSE).raise_for_status()

        before = look()
        rebuild = threads.submit(run_to_end, REBUILD)
        writers = [threads.submit(write) for _ in range(3)]
        while not rebuild.done():
            assert look() == before
        assert rebuild.result().returncode == 0
        for writer in writers:
            writer.result()
        wait_until_projected(tickets)
        assert served(server.http) == recount(tickets)


def test_a_rebuild_that_was_killed_goes_on_at_the_next_start(
    tickets: Collection[Document], read: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(3000))
    with TestClient(app):
        pass
    spoil(read)
    with running(REBUILD):
        wait_until(lambda: read.dashboard.find_one(REBUILDING))
    assert read.dashboard.find_one(REBUILDING)
    with TestClient(app) as http:
        assert served(http) == recount(tickets)


def test_a_rebuild_that_was_killed_is_continued_by_the_running_service(
    tickets: Collection[Document], read: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(3000))
    with TestClient(app) as http:
        spoil(read)
        with running(REBUILD):
            wait_until(lambda: read.dashboard.find_one(REBUILDING))
        wait_until(lambda: not read.dashboard.find_one(REBUILDING))
        assert served(http) == recount(tickets)
