"""How every step is started and stopped, and what it says if it cannot start."""

import importlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event, Timer
from typing import IO, cast

import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from workbench.mongod import Mongod, free_port, start_mongod

from ..support.lanes import Lane
from ..support.recount import recount, served, tickets_of_step_1
from ..support.requests import NEW_TICKET, Json, create, patch, read_list
from ..support.servers import STEPS, Server, at_once, running, serve, wait_until

STEP_1, _, STEP_3, STEP_4 = STEPS
MAIN = [f"{step}.main:app" for step in STEPS]
COMMAND_SIDE = f"{STEP_4}.command_api:app"
QUERY_SIDE = f"{STEP_4}.query_api:app"
PROJECTOR = f"{STEP_4}.projector"
REBUILD = f"{STEP_4}.rebuild"
OUT_OF_REACH = "mongodb://127.0.0.1:1"
NO_MONGODB = {
    "": "Empty host",
    "http://x": "Invalid URI scheme",
    "mongodb://": "Must provide at least one hostname",
    "mongodb://127.0.0.1:99999": "Port must be an integer",
    "mongodb+srv://nowhere.invalid": "nowhere.invalid",
}


def client_of(app: str) -> TestClient:
    return TestClient(importlib.import_module(app.removesuffix(":app")).app)


@pytest.fixture(scope="module")
def own_mongod(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A mongod with a database `support` for us alone. A test can make it slow."""
    arguments = ("--setParameter", "enableTestCommands=1")
    with start_mongod(tmp_path_factory.mktemp("own"), free_port(), *arguments) as own:
        yield own


@pytest.fixture(scope="module")
def standalone(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    data = tmp_path_factory.mktemp("standalone")
    with start_mongod(data, free_port(), replica_set=False) as standalone:
        yield standalone


# In memory


def test_without_a_mongodb_uri_one_warning_says_that_there_must_be_one_worker(
    step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with client_of(f"{step}.main:app") as http:
        ticket = create(http)
        assert [each["id"] for each in read_list(http)] == [ticket["id"]]
    [warning] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    for what in ("MONGODB_URI is not set", "in memory", "one worker"):
        assert what in warning.getMessage()


@pytest.mark.slow
def test_the_warning_is_in_the_log_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with serve(MAIN[0]) as server:
        assert server.log.read_text().count("MONGODB_URI is not set") == 1


# Where MongoDB is


def test_all_steps_share_the_database_called_support_where_none_is_named(
    own_mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", own_mongod.uri)
    monkeypatch.delenv("MONGODB_DATABASE", raising=False)
    for app in MAIN:
        with client_of(app) as http:
            create(http)
    with MongoClient[Json](own_mongod.uri) as mongo:
        assert mongo.support.tickets.count_documents({}) == len(STEPS)
        assert mongo.support_read.ticket_reads.count_documents({}) == len(STEPS)


def test_the_read_side_is_where_it_is_told_to_be(
    database: str,
    own_mongod: Mongod,
    mongo: MongoClient[Json],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("READ_MONGODB_URI", own_mongod.uri)
    monkeypatch.setenv("READ_MONGODB_DATABASE", "elsewhere")
    with client_of(MAIN[3]) as http:
        create(http)
        assert served(http) == recount(mongo[database].tickets)
    assert f"{database}_read" not in mongo.list_database_names()
    with MongoClient[Json](own_mongod.uri) as own:
        assert own.elsewhere.ticket_reads.count_documents({}) == 1
        [dashboard] = own.elsewhere.dashboard.find()
        assert dashboard.keys() > {"open", "triaged", "closed", "at"}


def test_a_ticket_is_stored_with_an_object_id_dates_and_its_json_names(
    step: str, database: str, mongo: MongoClient[Json]
) -> None:
    tickets = mongo[database].tickets
    with client_of(f"{step}.main:app") as http:
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


# Without a MongoDB


def failed_start(*command: str, **environment: str) -> str:
    """Start what cannot start. Return what it printed."""
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        at_last = Timer(30, process.kill)
        at_last.start()
        # The time that Python needs to start does not count. uvicorn says when that is over.
        limit, began, printed = 10, time.monotonic(), ""
        for line in cast(IO[str], process.stdout):
            if "Waiting for application startup" in line:
                limit, began = 5, time.monotonic()
            printed += line
    at_last.cancel()
    assert time.monotonic() - began < limit, f"{command} with {environment}: {printed}"
    assert process.returncode != 0, f"{command} with {environment}: {printed}"
    return printed


def failed_starts(*starts: tuple[str, dict[str, str]]) -> list[str]:
    """Start several at once. Each is an app or a module."""

    def start(what: tuple[str, dict[str, str]]) -> str:
        name, environment = what
        if name.endswith(":app"):
            return failed_start("uvicorn", name, "--port", str(free_port()), **environment)
        return failed_start(name, **environment)

    with ThreadPoolExecutor(len(starts)) as threads:
        return list(threads.map(start, starts))


@pytest.mark.slow
def test_a_start_with_mongodb_out_of_reach_fails_in_time_with_the_reason_of_pymongo() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        *refused, timed_out = failed_starts(
            *((app, {"MONGODB_URI": OUT_OF_REACH}) for app in MAIN),
            (MAIN[0], {"MONGODB_URI": f"mongodb://127.0.0.1:{port}"}),
        )
    for printed in refused:
        assert "ServerSelectionTimeoutError: 127.0.0.1:1: " in printed
    assert "pymongo.errors.ServerSelectionTimeoutError: " in timed_out


@pytest.mark.parametrize("uri", NO_MONGODB)
def test_a_start_with_what_is_no_uri_fails_with_the_reason_of_pymongo(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", uri)
    began = time.monotonic()
    # One step is enough: database.py is the same file in all of them.
    with pytest.raises((PyMongoError, ValueError), match=NO_MONGODB[uri]), client_of(MAIN[0]):
        pass
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_what_works_beside_a_service_insists_on_a_mongodb_uri(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    apart = (COMMAND_SIDE, QUERY_SIDE, PROJECTOR, REBUILD, f"{STEP_3}.rebuild")
    for printed in failed_starts(*((each, {}) for each in apart)):
        assert_last_line_says("MONGODB_URI", printed)


def assert_last_line_says(what: str, printed: str) -> None:
    """Check the last line of the step. uvicorn prints an empty line and its own line after it."""
    printed = printed.removesuffix("ERROR:    Application startup failed. Exiting.\n")
    assert what in printed.rstrip().splitlines()[-1], printed


# Step 4: which side needs which database


@pytest.mark.slow
def test_two_sides_that_cannot_be_meant_are_refused_in_a_clear_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    without_a_write_side, without_a_read_side = failed_starts(
        (MAIN[3], {"READ_MONGODB_URI": OUT_OF_REACH}),
        (MAIN[3], {"MONGODB_URI": OUT_OF_REACH, "READ_MONGODB_DATABASE": "support"}),
    )
    assert_last_line_says("MONGODB_URI is not set", without_a_write_side)
    assert_last_line_says("READ_MONGODB_DATABASE must not be", without_a_read_side)


@pytest.mark.parametrize("side", ["MONGODB_URI", "READ_MONGODB_URI"])
def test_what_needs_a_database_that_is_out_of_reach_does_not_start(
    side: str, mongod: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READ_MONGODB_URI", mongod)
    its_own_side = COMMAND_SIDE if side == "MONGODB_URI" else QUERY_SIDE
    needy = (MAIN[3], its_own_side, PROJECTOR, REBUILD)
    for printed in failed_starts(*((each, {side: OUT_OF_REACH}) for each in needy)):
        assert "ServerSelectionTimeoutError: 127.0.0.1:1: " in printed


def test_a_side_starts_and_serves_while_the_database_of_the_other_is_out_of_reach(
    database: str, mongod: str, mongo: MongoClient[Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(MAIN[3]) as http:
        create(http)
    monkeypatch.setenv("READ_MONGODB_URI", OUT_OF_REACH)
    with client_of(COMMAND_SIDE) as http:
        prefer = {"Prefer": "respond-async"}
        assert http.post("/tickets", json=NEW_TICKET, headers=prefer).status_code == 201
    monkeypatch.setenv("MONGODB_URI", OUT_OF_REACH)
    monkeypatch.setenv("READ_MONGODB_URI", mongod)
    with client_of(QUERY_SIDE) as http:
        assert len(read_list(http)) == 1  # nobody has projected the second one
    monkeypatch.setenv("MONGODB_URI", mongod)
    with client_of(MAIN[3]) as http:
        assert served(http) == recount(mongo[database].tickets)


def test_the_query_side_writes_nothing_anywhere(database: str, mongo: MongoClient[Json]) -> None:
    with client_of(QUERY_SIDE) as http:
        assert read_list(http) == []
        assert http.get("/dashboard").json() == {"open": 0, "triaged": 0, "closed": 0}
    assert not {database, f"{database}_read"} & set(mongo.list_database_names())


def test_on_a_standalone_server_step_4_names_the_way_out_and_does_not_start(
    standalone: Mongod,
) -> None:
    needy = (MAIN[3], COMMAND_SIDE, PROJECTOR, REBUILD)
    for printed in failed_starts(*((each, {"MONGODB_URI": standalone.uri}) for each in needy)):
        assert_last_line_says("--replSet", printed)
        assert_last_line_says("rs.initiate()", printed)


def test_steps_1_to_3_run_on_a_standalone_server(
    standalone: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", standalone.uri)
    with MongoClient[Json](standalone.uri, tz_aware=True) as mongo:
        for app in MAIN[:3]:
            with client_of(app) as http:
                patch(http, create(http), status="closed", agent_note="Called back")
                create(http)
                assert served(http) == recount(mongo.support.tickets)


def test_the_read_side_of_step_4_may_be_a_standalone_server(
    standalone: Mongod, database: str, mongo: MongoClient[Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READ_MONGODB_URI", standalone.uri)
    mongo[database].tickets.insert_many(tickets_of_step_1(30))
    with client_of(MAIN[3]) as http:
        patch(http, create(http), status="closed", agent_note="Called back")
        assert served(http) == recount(mongo[database].tickets)


# Starts that take long, or happen at the same time


@contextmanager
def slow(mongod: Mongod, command: str, times: int) -> Iterator[None]:
    """Let MongoDB take longer for a command, `times` times, than a failing start may take."""
    with MongoClient[Json](mongod.uri) as mongo:
        slowness = {"failCommands": [command], "blockConnection": True, "blockTimeMS": 5500}
        fail = {"configureFailPoint": "failCommand"}
        before = mongo.admin.command(fail | {"mode": {"times": times}, "data": slowness})
        yield
        after = mongo.admin.command(fail | {"mode": "off"})
    assert after["count"] == before["count"] + times


@pytest.mark.parametrize(("command", "apps"), [("createIndexes", MAIN), ("update", MAIN[2:])])
def test_an_index_or_a_first_build_that_takes_long_fails_no_start(
    command: str, apps: list[str], own_mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", own_mongod.uri)
    monkeypatch.setenv("MONGODB_DATABASE", f"slow_{command}")
    with MongoClient[Json](own_mongod.uri, tz_aware=True) as mongo:
        tickets = mongo[f"slow_{command}"].tickets
        tickets.insert_many(tickets_of_step_1(3))
        with slow(own_mongod, command, len(apps)), at_once(*map(client_of, apps)) as clients:
            for http in clients:
                assert served(http) == recount(tickets)


def wait_until_started(server: Server, workers: int) -> None:
    wait_until(lambda: server.log.read_text().count("Application startup complete") == workers)


@pytest.mark.parametrize("number", [0, 2000])
@pytest.mark.timeout(900)
def test_eight_workers_that_start_for_the_first_time_at_once_all_come_up(
    number: int, database: str, mongo: MongoClient[Json], lane: Lane
) -> None:
    tickets = mongo[database].tickets
    for _ in range(lane.first_starts):
        mongo.drop_database(database)
        mongo.drop_database(f"{database}_read")
        if number:
            tickets.insert_many(tickets_of_step_1(number))
        with serve(MAIN[3], "--workers", "8") as server:
            wait_until_started(server, 8)
            create(server.http)
            assert served(server.http) == recount(tickets)
            stop(server, 8)


@pytest.mark.parametrize("app", MAIN[:3])
def test_two_workers_start_at_once_answer_alike_and_stop_when_told(
    app: str, database: str, mongo: MongoClient[Json]
) -> None:
    tickets = mongo[database].tickets
    tickets.insert_many(tickets_of_step_1(1000))
    with serve(app, "--workers", "2") as server:
        wait_until_started(server, 2)
        create(server.http)
        assert served(server.http) == recount(tickets)
        stop(server, 2)


def stop(server: Server, workers: int) -> None:
    """Tell a service to stop, and check that it does so in time, quietly and completely."""
    os.kill(server.pid, signal.SIGTERM)
    began = time.monotonic()
    wait_until(lambda: os.waitpid(server.pid, os.WNOHANG) != (0, 0))
    assert time.monotonic() - began < 5
    log = server.log.read_text()
    pids = re.findall(r"Started server process \[(\d+)\]", log)
    assert len(pids) == workers, log  # none died and was replaced
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    assert "Traceback" not in log, log


def test_a_projector_that_is_interrupted_ends_in_time_and_quietly(
    database: str, mongo: MongoClient[Json], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running(PROJECTOR, log) as projector:
        wait_until(mongo[f"{database}_read"].dashboard.find_one)
        projector.send_signal(signal.SIGINT)
        projector.wait(5)
    assert "Traceback" not in log.read_text()


def test_a_worker_of_step_4_becomes_ready_while_another_takes_50_changes_a_second(
    database: str, mongo: MongoClient[Json]
) -> None:
    def write(http: TestClient) -> int:
        number = 0
        began = time.monotonic()
        while not done.wait(max(0.0, began + number / 50 - time.monotonic())):
            body = {"agent_note": f"Note {number}"}
            answer = http.patch(path, json=body, headers={"Prefer": "respond-async"})
            assert answer.status_code == 200
            number += 1
        return number

    done = Event()
    tickets = mongo[database].tickets
    with client_of(MAIN[3]) as busy, ThreadPoolExecutor() as threads:
        path = f"/tickets/{create(busy)['id']}"
        writer = threads.submit(write, busy)
        try:
            time.sleep(1)
            for _ in range(3):
                began = time.monotonic()
                with client_of(MAIN[3]):
                    assert time.monotonic() - began < 5
        finally:
            done.set()
        assert writer.result() > 40
    with client_of(MAIN[3]) as http:
        assert served(http) == recount(tickets)
