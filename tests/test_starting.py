"""How every step is started and ended, and how readers hop between steps on the same tickets."""

import importlib
import os
import re
import signal
import socket
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.collection import Collection

from workbench.mongod import start_mongod

from .requests import (
    NEW_TICKET,
    Json,
    add_note,
    change_status,
    create,
    patch,
    read,
    read_dashboard,
    read_list,
)
from .servers import STEPS, Server, free_port, run_to_end, serve

STATUSES = ("open", "triaged", "closed")
FILTERS: list[dict[str, str | bool]] = [
    status | note
    for status in ({}, *({"status": each} for each in STATUSES))
    for note in ({}, {"has_note": True}, {"has_note": False})
]
THERE_AND_BACK = [(here, there, here) for here in range(1, 5) for there in range(1, 5)]
NO_MONGODB = [
    "",
    "not a uri",
    "http://x",
    "mongodb://",
    "mongodb://127.0.0.1:99999",
    "mongodb+srv://nowhere.invalid",
]
STEP_1, _, STEP_3, STEP_4 = STEPS


def client_of(step: str) -> TestClient:
    return TestClient(importlib.import_module(f"{step}.main").app)


def wait_until_started(server: Server, workers: int) -> None:
    while server.log.read_text().count("Application startup complete") < workers:
        time.sleep(0.05)


def insert_old_tickets(tickets: Collection[Json], number: int) -> list[str]:
    """Store tickets as step 1 would have hours ago; return their ids, the newest first."""
    now = datetime.now(UTC)
    moments = [now - timedelta(hours=3, minutes=minute) for minute in range(number)]
    result = tickets.insert_many(
        {
            **NEW_TICKET,
            "status": status,
            "agent_note": None,
            "created_at": moment,
            "updated_at": moment,
        }
        for moment, status in zip(moments, cycle(STATUSES), strict=False)
    )
    return [str(each) for each in result.inserted_ids]


def test_without_a_mongodb_uri_one_log_line_says_that_the_tickets_are_in_memory(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with serve(f"{step}.main:app") as server:
        ticket = server.http.post("/tickets", json=NEW_TICKET).json()
        assert [each["id"] for each in server.http.get("/tickets").json()] == [ticket["id"]]
        assert server.log.read_text().count("in-memory mongomock database") == 1


@pytest.mark.usefixtures("mongod")
def test_all_steps_share_the_database_called_support_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGODB_DATABASE", raising=False)
    with start_mongod(tmp_path, free_port()) as mongod, MongoClient[Json](mongod.uri) as mongo:
        monkeypatch.setenv("MONGODB_URI", mongod.uri)
        for step in STEPS:
            with client_of(step) as http:
                create(http)
        assert mongo.support.tickets.count_documents({}) == len(STEPS)


def test_a_ticket_is_stored_with_an_object_id_dates_and_its_json_names(
    step: str, database: str, mongo: MongoClient[Json]
) -> None:
    tickets = mongo[database].tickets
    with client_of(step) as http:
        ticket = create(http)
        moment = datetime.fromisoformat(ticket["created_at"])
        stored = tickets.find_one() or {}
        assert stored == stored | {
            "_id": ObjectId(ticket["id"]),
            **NEW_TICKET,
            "status": "open",
            "agent_note": None,
            "created_at": moment,
            "updated_at": moment,
        }
        changes = {"status": "closed", "agent_note": "Called back"}
        updated_at = datetime.fromisoformat(patch(http, ticket, **changes)["updated_at"])
        assert tickets.find_one(changes | {"created_at": moment, "updated_at": updated_at})


def assert_start_fails(app: str, *arguments: str, **environment: str) -> None:
    """Check that a start with this URI ends in time, and not well, and says why in the end."""
    began = time.monotonic()
    ended = run_to_end("uvicorn", app, "--port", str(free_port()), *arguments, **environment)
    assert time.monotonic() - began < 5
    assert ended.returncode != 0
    (uri,) = environment.values()
    reason = ended.stdout.splitlines()[-1]
    assert "MongoDB" in reason
    assert uri in reason


def test_a_start_without_a_mongodb_at_its_uri_ends_and_says_so(step: str) -> None:
    assert_start_fails(f"{step}.main:app", MONGODB_URI="mongodb://127.0.0.1:1")


# What follows is for database.py to see to, which is the same file in each step.


@pytest.mark.parametrize("uri", NO_MONGODB)
def test_a_start_with_what_is_no_uri_ends_and_says_so(uri: str) -> None:
    assert_start_fails(f"{STEP_1}.main:app", MONGODB_URI=uri)


def test_a_start_that_fails_keeps_the_password_to_itself() -> None:
    uri = "mongodb://agent:secret@127.0.0.1:1"
    ended = run_to_end("uvicorn", f"{STEP_1}.main:app", MONGODB_URI=uri)
    assert "at '127.0.0.1:1'" in ended.stdout.splitlines()[-1]
    assert "secret" not in ended.stdout


def test_a_start_with_a_silent_mongodb_ends_and_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"mongodb://127.0.0.1:{silent.getsockname()[1]}"
        assert_start_fails(f"{STEP_1}.main:app", MONGODB_URI=uri)


def test_a_start_of_two_workers_without_a_mongodb_says_so_and_is_not_tried_for_ever() -> None:
    # The parent process of uvicorn has the last word, and the exit status, which is 0.
    command = ["uvicorn", f"{STEP_1}.main:app", "--port", str(free_port()), "--workers", "2"]
    ended = run_to_end(*command, MONGODB_URI="http://x")
    assert "No MongoDB database" in ended.stdout


def test_a_start_of_step_4_without_a_read_side_ends_and_says_so(database: str) -> None:
    assert_start_fails(f"{STEP_4}.main:app", READ_MONGODB_URI="mongodb://127.0.0.1:1")


@pytest.mark.parametrize(
    "command",
    [
        [f"{STEP_3}.rebuild"],
        [f"{STEP_4}.rebuild"],
        [f"{STEP_4}.projector"],
        ["uvicorn", f"{STEP_4}.command_api:app"],
        ["uvicorn", f"{STEP_4}.query_api:app"],
    ],
    ids=" ".join,
)
def test_what_works_beside_a_service_insists_on_a_mongodb_uri(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    ended = run_to_end(*command)
    assert ended.returncode != 0
    assert "MONGODB_URI is not set" in ended.stdout.splitlines()[-1]


@pytest.mark.parametrize("walk", [*THERE_AND_BACK, (4, 1, 4, 3, 2, 4)], ids=str)
def test_each_step_answers_for_all_that_was_acknowledged_before_it_started(
    walk: tuple[int, ...], database: str, mongo: MongoClient[Json]
) -> None:
    insert_old_tickets(mongo[database].tickets, 30)
    with client_of(STEP_1) as http:
        tickets = {item["id"]: read(http, item) for item in read_list(http, limit=100)}
    for number in walk:
        with client_of(STEPS[number - 1]) as http:
            assert_answers_for(http, tickets)
            for changed in work_on(http, tickets):
                tickets[changed["id"]] = read(http, changed)


def work_on(http: TestClient, tickets: dict[str, Json]) -> list[Json]:
    """Create a ticket, change the three that were left open longest; return all four."""
    waiting = [ticket for ticket in tickets.values() if ticket["status"] == "open"]
    waiting.sort(key=lambda ticket: ticket["updated_at"])
    first, second, third = waiting[:3]
    change_status(http, first, "closed")
    add_note(http, second, "Called back")
    patch(http, third, status="triaged", agent_note="Called back")
    return [create(http), first, second, third]


def assert_answers_for(http: TestClient, tickets: dict[str, Json]) -> None:
    items = [
        {
            "id": ticket["id"],
            "subject": ticket["subject"],
            "status": ticket["status"],
            "updated_at": ticket["updated_at"],
            "preview": ticket["message"],
            "has_note": ticket["agent_note"] is not None,
        }
        for ticket in tickets.values()
    ]
    items.sort(key=lambda item: (item["updated_at"], item["id"]), reverse=True)
    for which in FILTERS:
        assert read_list(http, limit=100, **which) == [
            item for item in items if item == item | which
        ]
    assert read_dashboard(http) == Counter(item["status"] for item in items)
    assert [read(http, ticket) for ticket in tickets.values()] == list(tickets.values())


def test_a_start_after_few_changes_leaves_all_other_tickets_alone(
    step: str, database: str, mongo: MongoClient[Json]
) -> None:
    tickets = mongo[database].tickets
    changed, *others = insert_old_tickets(tickets, 100)
    for each in (step, STEP_1):
        with client_of(each) as http:
            add_note(http, {"id": changed}, f"Seen in {each}")
    untouched = {"_id": {"$in": [ObjectId(each) for each in others]}}
    before = tickets.find(untouched).to_list()
    with client_of(step):
        pass
    assert tickets.find(untouched).to_list() == before


@pytest.mark.parametrize("step", [STEP_3, STEP_4])
def test_a_first_start_on_the_tickets_of_step_1_says_that_it_builds_the_read_model(
    step: str, database: str, mongo: MongoClient[Json]
) -> None:
    insert_old_tickets(mongo[database].tickets, 3)
    with serve(f"{step}.main:app") as server:
        assert "Building the read model" in server.log.read_text()


@pytest.mark.parametrize("step", [STEP_3, STEP_4])
def test_two_workers_that_start_at_once_build_one_right_read_model(
    step: str, database: str, mongo: MongoClient[Json]
) -> None:
    ids = insert_old_tickets(mongo[database].tickets, 3000)
    with serve(f"{step}.main:app", "--workers", "2") as server:
        wait_until_started(server, 2)
        pages = [
            server.http.get("/tickets", params={"limit": 100, "skip": skip}).json()
            for skip in range(0, 3100, 100)
        ]
        assert [item["id"] for page in pages for item in page] == ids
        assert server.http.get("/dashboard").json() == dict.fromkeys(STATUSES, 1000)


def test_a_service_that_is_told_to_stop_ends_and_leaves_no_process(
    step: str, database: str
) -> None:
    with serve(f"{step}.main:app", "--workers", "2") as server:
        wait_until_started(server, 2)
        server.http.post("/tickets", json=NEW_TICKET)
        os.kill(server.pid, signal.SIGTERM)
        began = time.monotonic()
        os.waitpid(server.pid, 0)
        assert time.monotonic() - began < 5
        for pid in re.findall(r"Started server process \[(\d+)\]", server.log.read_text()):
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid), 0)
        assert "Traceback" not in server.log.read_text()
