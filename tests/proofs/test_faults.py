"""What a client sees while MongoDB is lost, silent or without a primary, and right after."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pymongo import MongoClient

from workbench.mongod import Mongod, free_port, start_mongod

from ..support.recount import Document, recount, served, tickets_of_step_1
from ..support.requests import NEW_TICKET
from ..support.servers import STEPS, Server, at_once, paused, running, serve, wait_until

Route = tuple[str, str, dict[str, str] | None]
Answers = dict[str, httpx2.Response]

ON_TICKETS: list[Route] = [
    ("POST", "/tickets", NEW_TICKET),
    ("PATCH", "/tickets/{id}", {"status": "triaged"}),
    ("POST", "/tickets/{id}/status", {"new_status": "triaged"}),
    ("POST", "/tickets/{id}/agent-note", {"note": "Called back"}),
    ("GET", "/tickets/{id}", None),
]
ON_THE_READ_MODEL: list[Route] = [("GET", "/tickets", None), ("GET", "/dashboard", None)]
EVERY_ROUTE = ON_TICKETS + ON_THE_READ_MODEL
_, _, STEP_3, STEP_4 = STEPS


class Fallible:
    """A mongod that can be lost and started again, and that fails when a test wants it."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._port = free_port()
        self.start()

    def start(self) -> None:
        self._running = ExitStack()
        mongod = start_mongod(self._data, self._port, "--setParameter", "enableTestCommands=1")
        self.mongod: Mongod = self._running.enter_context(mongod)
        self.process = self.mongod.process
        self.uri = self.mongod.uri

    def lose(self) -> None:
        self.process.kill()
        self._running.close()

    @contextmanager
    def without_primary(self) -> Iterator[None]:
        with MongoClient[Any](self.uri, directConnection=True) as member:
            member.admin.command("replSetStepDown", 60, force=True)
            try:
                yield
            finally:
                member.admin.command("replSetFreeze", 0)
        with MongoClient[Any](self.uri) as replica_set:
            replica_set.admin.command("ping")  # waits for a primary

    @contextmanager
    def failing(self, failure: Document) -> Iterator[None]:
        """Let every command that a route sends fail like this."""
        asked = {"failCommands": ["insert", "findAndModify", "find", "aggregate"]}
        fail = {"configureFailPoint": "failCommand"}
        with MongoClient[Any](self.uri) as client:
            client.admin.command(fail | {"mode": "alwaysOn", "data": asked | failure})
            try:
                yield
            finally:
                client.admin.command(fail | {"mode": "off"})


@dataclass
class Service:
    name: str
    http: httpx2.Client
    log: Path
    ticket_id: str


@dataclass
class Scene:
    """Everything that runs while MongoDB fails."""

    write: Fallible
    read: Fallible  # only of `apart`
    services: list[Service]  # each step
    apart: Service  # step 4 with a read side in another MongoDB
    projector: subprocess.Popen[bytes]
    projector_log: Path


@pytest.fixture(scope="module")
def scene(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("scene")
    log = folder / "projector.log"
    write, read = Fallible(folder / "write"), Fallible(folder / "read")
    uri = write.uri
    apps = [serve(f"{step}.main:app", MONGODB_URI=uri, MONGODB_DATABASE=step) for step in STEPS]
    main = f"{STEP_4}.main:app"
    apps += [serve(main, MONGODB_URI=uri, MONGODB_DATABASE="apart", READ_MONGODB_URI=read.uri)]
    projector = running(f"{STEP_4}.projector", log, MONGODB_URI=uri, MONGODB_DATABASE="projected")
    with projector as process, at_once(*apps) as servers:
        *services, apart = map(with_a_ticket, [*STEPS, "apart"], servers)
        yield Scene(write, read, services, apart, process, log)
    write.lose()
    read.lose()


def with_a_ticket(name: str, server: Server) -> Service:
    created = server.http.post("/tickets", json=NEW_TICKET)
    return Service(name, server.http, server.log, created.json()["id"])


def ask(services: list[Service], routes: list[Route]) -> Answers:
    """Send a request of each route to each service, all at once."""

    def send(request: tuple[Service, Route]) -> tuple[str, httpx2.Response]:
        service, (method, path, body) = request
        url = path.format(id=service.ticket_id)
        # uvicorn closes a connection after a 500, so we use each connection once.
        alone = {"Connection": "close"}
        answer = service.http.request(method, url, json=body, headers=alone)
        return f"{service.name}: {method} {path}", answer

    with ThreadPoolExecutor(len(services) * len(routes)) as threads:
        return dict(threads.map(send, product(services, routes)))


def assert_out_of_reach(answers: Answers, *, within: int) -> None:
    for request, answer in answers.items():
        assert answer.status_code == 503, f"{request}: {answer.status_code} {answer.text}"
        assert answer.json().keys() == {"detail"}, request
        assert answer.elapsed < timedelta(seconds=within), request


def assert_success(answers: Answers, *, within: int) -> None:
    for request, answer in answers.items():
        assert answer.is_success, f"{request}: {answer.status_code} {answer.text}"
        assert answer.elapsed < timedelta(seconds=within), request


def assert_everything_works(scene: Scene) -> None:
    """Check each route, and that lists and dashboards are right."""
    services = [*scene.services, scene.apart]
    assert_success(ask(services, EVERY_ROUTE), within=3)
    with MongoClient[Document](scene.write.uri, tz_aware=True) as mongo:
        for service in services:
            if service.name == STEP_3:  # a 503 may have left rows behind
                created = service.http.post("/tickets", json=NEW_TICKET).json()
                assert service.http.get("/tickets").json()[0]["id"] == created["id"]
            else:
                assert served(service.http) == recount(mongo[service.name].tickets), service.name


def failures_in(log: Path) -> int:
    return log.read_text().count("Projecting failed")


def test_a_lost_mongodb_is_503_within_3_seconds_until_it_is_back(scene: Scene) -> None:
    logs = [scene.services[3].log, scene.apart.log, scene.projector_log]
    wait_until_projected(scene, 1)
    before = [failures_in(log) for log in logs]
    scene.write.lose()
    for _ in range(2):  # the second time, nothing is connected
        assert_out_of_reach(ask([*scene.services, scene.apart], ON_TICKETS), within=3)
        assert_out_of_reach(ask(scene.services, ON_THE_READ_MODEL), within=3)
    # The read side of step 4 answers as long as its own MongoDB does.
    assert_success(ask([scene.apart], ON_THE_READ_MODEL), within=1)
    scene.write.start()
    assert_everything_works(scene)
    assert scene.projector.poll() is None
    wait_until_projected(scene, 2)
    # An outage is logged once, even if projecting was tried many times.
    assert [failures_in(log) for log in logs] == [number + 1 for number in before]


def wait_until_projected(scene: Scene, number: int) -> None:
    """Store a ticket where only the projector runs, and wait for its row."""
    with MongoClient[Document](scene.write.uri) as mongo:
        mongo.projected.tickets.insert_many(tickets_of_step_1(1))
        wait_until(lambda: mongo.projected_read.ticket_reads.count_documents({}) == number)


def test_a_silent_mongodb_is_503_within_15_seconds_until_it_answers_again(scene: Scene) -> None:
    with paused(scene.write.process):
        assert_out_of_reach(ask(scene.services, EVERY_ROUTE), within=15)
    assert_everything_works(scene)


def test_no_primary_is_503_within_3_seconds_until_there_is_one(scene: Scene) -> None:
    with scene.write.without_primary():
        assert_out_of_reach(ask(scene.services, EVERY_ROUTE), within=3)
    assert_everything_works(scene)


@pytest.mark.parametrize(
    "failure",
    [
        {"closeConnection": True},
        {"errorCode": 10107},  # NotWritablePrimary
        {"errorCode": 11602},  # InterruptedDueToReplStateChange
    ],
    ids=str,
)
def test_a_connection_that_fails_is_503(failure: Document, scene: Scene) -> None:
    with scene.write.failing(failure):
        assert_out_of_reach(ask(scene.services, EVERY_ROUTE), within=3)
    assert_everything_works(scene)


def test_what_mongodb_refuses_is_a_bug_of_ours_and_no_503(scene: Scene) -> None:
    with scene.write.failing({"errorCode": 96}):  # OperationFailed
        for request, answer in ask(scene.services, EVERY_ROUTE).items():
            assert answer.status_code == 500, request
    assert_everything_works(scene)


def test_commands_succeed_while_only_the_read_side_is_out_of_reach(scene: Scene) -> None:
    with paused(scene.read.process):
        assert_success(ask([scene.apart], ON_TICKETS), within=2)
    assert_everything_works(scene)
    scene.read.lose()
    for _ in range(2):
        assert_success(ask([scene.apart], ON_TICKETS), within=2)
        assert_out_of_reach(ask([scene.apart], ON_THE_READ_MODEL), within=3)
    scene.read.start()
    assert_everything_works(scene)
    assert "never retrieved" not in scene.apart.log.read_text()  # an error that nobody expected
