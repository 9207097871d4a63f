"""Requests change the same ticket at once, in two workers. The rule holds, and nothing is lost."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Barrier, Event, Lock
from typing import Any

import httpx2
import pytest
from pymongo import MongoClient

from ..support.lanes import Lane
from ..support.recount import Document, recount, served
from ..support.requests import create, patch, read, read_list_item, updated_at
from ..support.servers import serve


@dataclass
class Request:
    method: str
    route: str
    body: dict[str, str]
    answers: set[int]


CLOSE = Request("POST", "/status", {"new_status": "closed"}, {204})
TRIAGE = Request("POST", "/status", {"new_status": "triaged"}, {204, 409})
NOTE = Request("POST", "/agent-note", {"note": "Sent again"}, {204})
PATCH_STATUS = Request("PATCH", "", {"status": "triaged"}, {200})
PATCH_NOTE = Request("PATCH", "", {"agent_note": "Sent again"}, {200})

RACES: list[tuple[tuple[Request, Request], Document]] = [
    # The two requests, and the result, which does not depend on who wins.
    ((CLOSE, TRIAGE), {"status": "closed", "agent_note": None}),
    ((CLOSE, NOTE), {"status": "closed", "agent_note": "Sent again"}),
    ((PATCH_STATUS, PATCH_NOTE), {"status": "triaged", "agent_note": "Sent again"}),
]
AT_ONCE = 10


@pytest.mark.timeout(1800)
def test_no_race_reopens_a_ticket_or_loses_a_change(
    step: str, database: str, mongo: MongoClient[dict[str, Any]], lane: Lane
) -> None:
    with serve(f"{step}.main:app", "--workers", "2") as server:
        for rivals, outcome in RACES:
            for _ in range(lane.races // AT_ONCE):
                race(server.http, rivals, outcome)
        assert served(server.http) == recount(mongo[database].tickets)


def race(http: httpx2.Client, rivals: tuple[Request, Request], outcome: Document) -> None:
    """Let the two requests race on each of some new tickets, all at the same moment."""
    start = Barrier(AT_ONCE * len(rivals))

    def send(ticket: Document, request: Request) -> int:
        path = f"/tickets/{ticket['id']}{request.route}"
        start.wait()
        return http.request(request.method, path, json=request.body).status_code

    with ThreadPoolExecutor(start.parties) as threads:
        tickets = list(threads.map(lambda _: create(http), range(AT_ONCE)))
        sent = [
            (request, threads.submit(send, ticket, request))
            for ticket in tickets
            for request in rivals
        ]
    for request, answer in sent:
        assert answer.result() in request.answers
    for ticket in tickets:
        details = read(http, ticket)
        assert details == details | outcome


WRITERS = 6
CHANGES = 40  # of each writer


class Seen:
    """The latest `updated_at` that a client has seen."""

    def __init__(self) -> None:
        self.latest = datetime.min.replace(tzinfo=UTC)
        self._lock = Lock()

    def show(self, moment: datetime, before: datetime) -> None:
        """Note what a request shows. The client had seen `before` when it sent the request."""
        assert moment >= before
        with self._lock:
            self.latest = max(self.latest, moment)


def test_updated_at_never_goes_back_while_two_workers_write(step: str, database: str) -> None:
    with serve(f"{step}.main:app", "--workers", "2") as server:
        ticket = create(server.http)
        # Two of them: until a request is answered, the list may be behind the details.
        in_details, in_list = Seen(), Seen()
        done = Event()

        def write(writer: int) -> None:
            for number in range(CHANGES):
                before, start = in_details.latest, time.monotonic()
                answer = patch(server.http, ticket, agent_note=f"{writer} called {number} times")
                in_details.show(updated_at(answer), before)
                if time.monotonic() - start < 1:  # After a second, the list may still be behind.
                    in_list.show(updated_at(answer), before)

        def look(seen: Seen, read_it: Callable[[httpx2.Client, Document], Document]) -> None:
            while not done.is_set():
                before = seen.latest
                seen.show(updated_at(read_it(server.http, ticket)), before)

        with ThreadPoolExecutor() as threads:
            looks = [
                threads.submit(look, seen, read_it)
                for seen, read_it in ((in_details, read), (in_list, read_list_item))
                for _ in range(2)
            ]
            writes = [threads.submit(write, writer) for writer in range(WRITERS)]
            wait(writes)
            done.set()
        for each in *writes, *looks:
            each.result()
