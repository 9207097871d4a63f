"""What a client sees while MongoDB is lost, silent or without a primary, and right after."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pymongo import MongoClient

from workbench.mongod import Mongod, start_mongod

from .requests import NEW_TICKET
from .servers import STEPS, Server, free_port, paused, serve

pytestmark = pytest.mark.usefixtures("mongod")  # without one to be had, they are skipped

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
STEP_4 = STEPS[3]


@dataclass
class Service:
    step: str
    http: httpx2.Client
    ticket_id: str


def with_a_ticket(step: str, server: Server) -> Service:
    return Service(step, server.http, server.http.post("/tickets", json=NEW_TICKET).json()["id"])


@contextmanager
def serve_every_step(mongod: Mongod) -> Iterator[list[Service]]:
    """Serve each step on a database of its own."""
    with ExitStack() as stack:
        services = []
        for step in STEPS:
            service = serve(f"{step}.main:app", MONGODB_URI=mongod.uri, MONGODB_DATABASE=step)
            services.append(with_a_ticket(step, stack.enter_context(service)))
        yield services


def ask(services: list[Service], routes: list[Route]) -> Answers:
    """Send a request of each route to each service, all at once."""
    with ThreadPoolExecutor(max_workers=len(services) * len(routes)) as threads:
        answers = {
            f"{service.step}: {method} {path}": threads.submit(
                service.http.request, method, path.format(id=service.ticket_id), json=body
            )
            for service in services
            for method, path, body in routes
        }
    return {request: answer.result() for request, answer in answers.items()}


def assert_out_of_reach(answers: Answers, *, within: int) -> None:
    for request, answer in answers.items():
        assert answer.status_code == 503, request
        assert answer.headers["Retry-After"].isdecimal(), request
        assert answer.json().keys() == {"detail"}, request
        assert answer.elapsed < timedelta(seconds=within), request


def assert_success(answers: Answers, *, within: int) -> None:
    for request, answer in answers.items():
        assert answer.is_success, f"{request}: {answer.text}"
        assert answer.elapsed < timedelta(seconds=within), request


def assert_every_route_works(services: list[Service]) -> None:
    assert_success(ask(services, EVERY_ROUTE), within=3)
    for service in services:
        created = service.http.post("/tickets", json=NEW_TICKET).json()
        newest = service.http.get("/tickets").json()[0]
        assert newest["id"] == created["id"], service.step


def lose(mongod: Mongod) -> None:
    mongod.process.kill()
    mongod.process.wait()


@contextmanager
def without_primary(mongod: Mongod) -> Iterator[None]:
    with MongoClient[Any](mongod.uri, directConnection=True) as member:
        member.admin.command("replSetStepDown", 60, force=True)
        yield
        member.admin.command("replSetFreeze", 0)
    with MongoClient[Any](mongod.uri) as replica_set:
        replica_set.admin.command("ping")  # waits for a primary


def test_a_lost_mongodb_is_503_within_3_seconds_until_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    with start_mongod(tmp_path, port) as mongod, serve_every_step(mongod) as services:
        lose(mongod)
        assert_out_of_reach(ask(services, EVERY_ROUTE), within=3)
        assert_out_of_reach(ask(services, EVERY_ROUTE), within=3)  # now none is connected
        with start_mongod(tmp_path, port):
            assert_every_route_works(services)


def test_a_silent_mongodb_is_503_within_15_seconds_until_it_answers_again(tmp_path: Path) -> None:
    with start_mongod(tmp_path, free_port()) as mongod, serve_every_step(mongod) as services:
        with paused(mongod.process):
            assert_out_of_reach(ask(services, EVERY_ROUTE), within=15)
        assert_every_route_works(services)


def test_no_primary_is_503_within_3_seconds_until_there_is_one(tmp_path: Path) -> None:
    with start_mongod(tmp_path, free_port()) as mongod, serve_every_step(mongod) as services:
        with without_primary(mongod):
            assert_out_of_reach(ask(services, EVERY_ROUTE), within=3)
        assert_every_route_works(services)


def test_a_mongod_that_stands_alone_serves_every_route_of_every_step(tmp_path: Path) -> None:
    with (
        start_mongod(tmp_path, free_port(), replica_set=False) as mongod,
        serve_every_step(mongod) as services,
    ):
        assert_every_route_works(services)


def test_commands_succeed_while_only_the_read_side_is_out_of_reach_and_show_once_it_is_back(
    tmp_path: Path,
) -> None:
    port = free_port()
    with (
        start_mongod(tmp_path / "write", free_port()) as write,
        start_mongod(tmp_path / "read", port) as read,
        serve(f"{STEP_4}.main:app", MONGODB_URI=write.uri, READ_MONGODB_URI=read.uri) as server,
    ):
        service = with_a_ticket(STEP_4, server)
        with paused(read.process):
            assert_success(ask([service], ON_TICKETS), within=2)
        assert_complete(service, {"open": 2, "triaged": 1, "closed": 0})
        lose(read)
        assert_success(ask([service], ON_TICKETS), within=2)
        assert_out_of_reach(ask([service], ON_THE_READ_MODEL), within=3)
        with start_mongod(tmp_path / "read", port):
            assert_complete(service, {"open": 4, "triaged": 1, "closed": 0})


def assert_complete(service: Service, counts: dict[str, int]) -> None:
    """Check that list and dashboard show all that was done, once one more command waited."""
    service.http.post("/tickets", json=NEW_TICKET)
    items = service.http.get("/tickets").json()
    assert len(items) == sum(counts.values())
    assert [item["has_note"] for item in items if item["status"] == "triaged"] == [True]
    assert service.http.get("/dashboard").json() == counts
