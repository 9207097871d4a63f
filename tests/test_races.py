"""Requests that meet on the same ticket, in two workers: the rule holds, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import httpx2
from pymongo import MongoClient

from .recount import Document, recount, served
from .servers import serve

TICKET = {"customer_id": "c-42", "subject": "No invoice", "message": "It never came"}


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

RACES: list[tuple[int, tuple[Request, Request], Document]] = [
    # How often, between whom, and what comes of it whoever wins.
    (200, (CLOSE, TRIAGE), {"status": "closed", "agent_note": None}),
    (200, (CLOSE, NOTE), {"status": "closed", "agent_note": "Sent again"}),
    (200, (PATCH_STATUS, PATCH_NOTE), {"status": "triaged", "agent_note": "Sent again"}),
]
AT_ONCE = 20


def test_no_race_reopens_a_ticket_or_loses_a_change(
    step: str, database: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    with serve(f"{step}.main:app", "--workers", "2") as server:
        for number, rivals, outcome in RACES:
            for _ in range(number // AT_ONCE):
                race(server.http, rivals, outcome)
        assert served(server.http) == recount(mongo[database].tickets)


def race(http: httpx2.Client, rivals: tuple[Request, Request], outcome: Document) -> None:
    """Let the two requests race on each of some new tickets, all at the same moment."""
    start = Barrier(AT_ONCE * len(rivals))

    def create(_number: int) -> str:
        return http.post("/tickets", json=TICKET).headers["Location"]

    def send(path: str, request: Request) -> int:
        start.wait()
        return http.request(request.method, path + request.route, json=request.body).status_code

    with ThreadPoolExecutor(start.parties) as threads:
        paths = list(threads.map(create, range(AT_ONCE)))
        sent = [
            (request, threads.submit(send, path, request)) for path in paths for request in rivals
        ]
    for request, answer in sent:
        assert answer.result() in request.answers
    for path in paths:
        ticket = http.get(path).json()
        assert ticket == ticket | outcome
