"""The four steps and a model in lock-step: they answer the same to any sequence of requests."""

import importlib
import json
import logging
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import cycle
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pymongo import MongoClient
from pytest import MonkeyPatch

from ..support.clock import stop_clock
from ..support.lanes import Lane
from ..support.recount import FILTERS
from ..support.requests import STATUSES, UNKNOWN_ID, WHITE_SPACE, create, read, read_list_item
from ..support.servers import STEPS
from .model import INVALID, Answer, Json, Model

pytestmark = pytest.mark.timeout(1800)  # after a failure, hypothesis shortens it for minutes

Target = int | str

PASSING = {"id", "created_at", "updated_at"}
MALFORMED = ["abc", UNKNOWN_ID.upper(), UNKNOWN_ID[1:], f"{UNKNOWN_ID}0", "%00", "é" * 24]

WRONG_QUERIES = ["status=", "status=Open", "has_note=", "has_note=2", "limit=", "limit=0"]
WRONG_QUERIES += ["limit=101", "limit=x", "skip=", "skip=-1", "skip=10001"]
WRONG_QUERIES += ["staus=closed", "limit=5&page=2", "%00", "status=open&Status=open"]

AWKWARD = [*WHITE_SPACE, *"\0\x1c\x1f", "\r\n", "…", "😀", "e\u0301", "\ufeff", "\ud800"]
no_texts: st.SearchStrategy[Json] = st.sampled_from([None, True, 1, float("nan"), [], {}])
statuses = st.sampled_from([*STATUSES * 4, "Open", "", "reopened"])


def mostly(
    likely: st.SearchStrategy[Json], *others: st.SearchStrategy[Json]
) -> st.SearchStrategy[Json]:
    """The first strategy nine times out of ten. With one_of, each would have the same chance."""
    return st.integers(0, 9).flatmap(lambda digit: st.one_of(*others) if digit == 9 else likely)


def texts(longest: int) -> st.SearchStrategy[str]:
    sizes = [79, 80, 81, longest - 1, longest, longest + 1]
    return st.one_of(
        st.text(min_size=1, max_size=10),
        st.lists(st.sampled_from(AWKWARD) | st.text(max_size=3), max_size=6).map("".join),
        st.builds(str.__mul__, st.sampled_from(["x", "😀", " ", "x\n"]), st.sampled_from(sizes)),
    )


def bodies(**fields: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Bodies with these fields: most are as they should be, some lack a field or have one more."""
    likely = {name: mostly(field, no_texts) for name, field in fields.items()}
    whole = st.fixed_dictionaries(likely)
    short = st.fixed_dictionaries({}, optional=likely)
    odd = st.builds(dict.__or__, whole, st.dictionaries(texts(20), texts(20), min_size=1))
    return mostly(whole, short, odd, no_texts)


some_ticket = mostly(st.integers(0, 5), st.sampled_from([UNKNOWN_ID, *MALFORMED]))


class LockStep(RuleBasedStateMachine):
    """Every step and the model. The model has the clock for all, and gives the tickets numbers.

    Only the ids differ from step to step, so we keep a list of ids for each step.
    """

    mongodb_uri: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.running = ExitStack()
        self.http = {
            step: self.running.enter_context(running(step, self.mongodb_uri)) for step in STEPS
        }
        self.ids: dict[str, list[str]] = {step: [] for step in STEPS}
        self.filters = cycle(FILTERS)
        self.clocks = self.running.enter_context(MonkeyPatch.context())

    def teardown(self) -> None:
        self.running.close()

    def ask(self, expected: Answer, method: str, path: str, ticket: Target, **more: Any) -> None:
        """Send a request to each step, with its own id for the ticket, and compare the answers."""
        name = f"$t{ticket}" if isinstance(ticket, int) else ticket
        request = as_shell_command(method, path.format(id=name), **more)
        made = f"t{len(self.model.tickets) - 1}=$({request} | jq -r .id)"
        note(made if expected[0] == 201 else request)
        answers = []
        for step, http in self.http.items():
            ticket_id = ticket if isinstance(ticket, str) else self.ids[step][ticket]
            response = http.request(method, path.format(id=ticket_id), **more)
            if response.status_code == 201:
                self.ids[step].append(response.json()["id"])
            answers.append((response.status_code, self.normalised(step, response)))
        assert answers == [answers[0]] * len(STEPS)
        status, body = answers[0]
        assert (status, None if status == 422 else body) == expected

    def normalised(self, step: str, response: Response) -> Json:
        """Return the body with numbers for ids."""
        if response.status_code == 204:
            return None
        body = response.json()
        for each in body if isinstance(body, list) else [body]:
            if "id" in each:
                each["id"] = self.ids[step].index(each["id"])
        return body

    def move_clock(self, milliseconds: int) -> None:
        self.model.move_clock(milliseconds)
        finer = self.model.now + timedelta(microseconds=654)  # no step may show the microseconds
        for step in STEPS:
            stop_clock(step, finer, self.clocks)

    def command(self, method: str, route: str, ticket: Target, body: Json) -> None:
        """Send a command on a ticket. The model knows the command by the name of its route."""
        apply = {
            "": self.model.update,
            "/status": self.model.change_status,
            "/agent-note": self.model.add_agent_note,
        }[route]
        self.move_clock(1)
        known = self.known(ticket)
        expected = INVALID if known in MALFORMED else apply(number_of(known), body)
        self.ask(expected, method, f"/tickets/{{id}}{route}", known, **as_json(body))

    def known(self, ticket: Target) -> Target:
        """Return the number of a ticket that is there. Return other targets unchanged."""
        if isinstance(ticket, str):
            return ticket
        return ticket % len(self.model.tickets)

    @rule(
        body=bodies(customer_id=texts(100), subject=texts(200), message=texts(20_000)),
    )
    def create(self, body: Json) -> None:
        self.move_clock(1)
        self.ask(self.model.create(body), "POST", "/tickets", UNKNOWN_ID, **as_json(body))

    @initialize()
    def there_is_a_ticket(self) -> None:
        self.create_well("")

    @rule(message=texts(20_000))
    def create_well(self, message: str) -> None:
        self.create(
            {"customer_id": "c-42", "subject": "No invoice", "message": f"m{message}"[:20_000]}
        )

    @rule(milliseconds=st.sampled_from([-3, -2, -1, 1000]))
    def the_clock_is_set(self, milliseconds: int) -> None:
        note(f"# the clocks are {milliseconds} ms further")
        self.move_clock(milliseconds)

    @rule(ticket=some_ticket, body=bodies(status=statuses, agent_note=texts(20_000)))
    def update(self, ticket: Target, body: Json) -> None:
        self.command("PATCH", "", ticket, body)

    @rule(ticket=some_ticket, body=bodies(new_status=statuses))
    def change_status(self, ticket: Target, body: Json) -> None:
        self.command("POST", "/status", ticket, body)

    @rule(ticket=some_ticket, body=bodies(note=texts(20_000)))
    def add_agent_note(self, ticket: Target, body: Json) -> None:
        self.command("POST", "/agent-note", ticket, body)

    @rule(ticket=some_ticket)
    def get(self, ticket: Target) -> None:
        known = self.known(ticket)
        expected = INVALID if known in MALFORMED else self.model.get(number_of(known))
        self.ask(expected, "GET", "/tickets/{id}", known)

    @rule(
        status=st.sampled_from([None, *STATUSES]),
        has_note=st.sampled_from([None, True, False]),
        limit=st.integers(1, 100),
        skip=st.integers(0, 5),
    )
    def list_tickets(
        self, status: str | None, has_note: bool | None, limit: int, skip: int
    ) -> None:
        expected = self.model.list_tickets(status, has_note, limit, skip)
        asked = {"status": status, "has_note": has_note, "limit": limit, "skip": skip}
        given = {name: value for name, value in asked.items() if value is not None}
        self.ask(expected, "GET", "/tickets", UNKNOWN_ID, params=given)

    @rule(wrong=st.sampled_from(WRONG_QUERIES))
    def list_wrongly(self, wrong: str) -> None:
        self.ask(INVALID, "GET", f"/tickets?{wrong}", UNKNOWN_ID)

    @rule(first=st.sampled_from([*STATUSES, "lost"]), last=st.sampled_from(STATUSES))
    def list_with_a_filter_twice(self, first: str, last: str) -> None:
        expected = self.model.list_tickets(status=last)
        self.ask(expected, "GET", f"/tickets?status={first}&status={last}", UNKNOWN_ID)

    @invariant()
    def list_and_dashboard_agree(self) -> None:
        asked = next(self.filters) | {"limit": 100}
        self.ask(self.model.list_tickets(**asked), "GET", "/tickets", UNKNOWN_ID, params=asked)
        self.ask(self.model.dashboard(), "GET", "/dashboard", UNKNOWN_ID)


def number_of(known: Target) -> int | None:
    return known if isinstance(known, int) else None


def as_json(body: Json) -> dict[str, Any]:
    """Return what sends the body, also with NaN or lone surrogates, which other encoders refuse."""
    return {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}


@contextmanager
def running(step: str, mongodb_uri: str | None) -> Iterator[TestClient]:
    """Run a step on an empty database, in memory if there is no URI."""
    database = f"test_{uuid4().hex}"
    with MonkeyPatch.context() as environment:
        environment.setenv("MONGODB_DATABASE", database)
        environment.delenv("MONGODB_URI", raising=False)
        if mongodb_uri:
            environment.setenv("MONGODB_URI", mongodb_uri)
        with TestClient(importlib.import_module(f"{step}.main").app) as http:
            yield http
    if mongodb_uri:
        with MongoClient[Any](mongodb_uri) as mongo:
            mongo.drop_database(database)
            mongo.drop_database(f"{database}_read")


def as_shell_command(
    method: str,
    path: str,
    content: bytes | None = None,
    headers: object = None,
    params: dict[str, Any] | None = None,
) -> str:
    """Return the request as a reader can send it to a step that runs on an empty database."""
    query = f"?{urlencode(params)}" if params else ""
    command = f'curl -s -X {method} "http://127.0.0.1:8000{path}{query}"'
    if content is None:
        return command
    return f"{command} --json {shlex.quote(content.decode())}"


def lock_step(runs: int, rules: int) -> settings:
    slow = [HealthCheck.too_slow]
    return settings(
        max_examples=runs, stateful_step_count=rules, deadline=None, suppress_health_check=slow
    )


def test_the_steps_and_the_model_answer_alike_on_mongomock(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    # Each start in memory logs a warning. A failure should show little else than the requests.
    caplog.set_level(logging.ERROR, "uvicorn.error")
    run_state_machine_as_test(LockStep, settings=lock_step(lane.runs, lane.rules))


def test_the_steps_and_the_model_answer_alike_on_mongod(mongod: str, lane: Lane) -> None:
    class OnMongod(LockStep):
        mongodb_uri = mongod

    run_state_machine_as_test(OnMongod, settings=lock_step(lane.runs // 10, lane.rules))


changes = st.fixed_dictionaries(
    {}, optional={"status": st.sampled_from(STATUSES), "agent_note": st.text(max_size=10)}
)


def test_a_patch_and_the_intents_that_mean_the_same_leave_the_same_ticket(
    http: TestClient, lane: Lane
) -> None:
    @settings(max_examples=lane.runs // 2, deadline=None)
    @given(bodies=st.lists(changes.filter(bool), max_size=5))
    def check(bodies: list[dict[str, str]]) -> None:
        patched, told = create(http), create(http)
        for body in bodies:
            answer = http.patch(f"/tickets/{patched['id']}", json=body)
            assert (answer.status_code == 200) == all_succeed(http, told["id"], body)
            assert shown(http, patched) == shown(http, told)

    check()


def all_succeed(http: TestClient, ticket_id: str, body: dict[str, str]) -> bool:
    """Send what a PATCH with this body means, one intent after another, until one is refused."""
    intents = []
    if "status" in body:
        intents.append(("status", {"new_status": body["status"]}))
    if "agent_note" in body:
        intents.append(("agent-note", {"note": body["agent_note"]}))
    path = f"/tickets/{ticket_id}"
    return all(http.post(f"{path}/{route}", json=sent).is_success for route, sent in intents)


def shown(http: TestClient, ticket: Json) -> Json:
    """Return what is seen of a ticket, without its id and the times."""
    everything = read_list_item(http, ticket) | read(http, ticket)
    return {name: everything[name] for name in everything if name not in PASSING}
