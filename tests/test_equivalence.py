"""The four steps and a model in lock-step: no sequence of requests tells one from another."""

import importlib
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    invariant,
    rule,
    run_state_machine_as_test,
)
from pymongo import MongoClient
from pytest import MonkeyPatch

from .lanes import Lane
from .model import INVALID, STATUSES, WHITE_SPACE, Answer, Json, Model
from .requests import create, read, read_list_item
from .servers import STEPS

Target = int | str

PASSING = {"id", "created_at", "updated_at"}
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
UNKNOWN = "0123456789abcdef01234567"
MALFORMED = ["abc", UNKNOWN.upper(), UNKNOWN[1:], f"{UNKNOWN}0", "%00", "é" * 24]

WRONG_QUERIES = ["status=", "status=Open", "has_note=", "has_note=2", "limit=", "limit=0"]
WRONG_QUERIES += ["limit=101", "limit=x", "skip=", "skip=-1", "skip=10001"]

AWKWARD = [*WHITE_SPACE, "\0", "\x1c", "\r\n", "…", "😀", "e\u0301", "\ufeff", "\ud800"]
SIZES = [79, 80, 81, 100, 101, 200, 201, 19_999, 20_000, 20_001]
texts = st.one_of(
    st.text(max_size=10),
    st.lists(st.sampled_from(AWKWARD) | st.text(max_size=3), max_size=6).map("".join),
    st.builds(str.__mul__, st.sampled_from(["x", "😀", " ", "\n"]), st.sampled_from(SIZES)),
)
no_texts: st.SearchStrategy[Json] = st.sampled_from([None, True, 1, float("nan"), [], {}])
statuses = st.sampled_from([*STATUSES * 4, "Open", "", "reopened"])


def bodies(**fields: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Bodies with these fields: mostly as they should be, some short of one, some with one more."""
    likely = {name: st.one_of(field, field, field, no_texts) for name, field in fields.items()}
    whole = st.fixed_dictionaries(likely)
    odd = st.fixed_dictionaries({}, optional={**likely, "priority": texts})
    return st.one_of(whole, whole, whole, odd, no_texts)


some_ticket = st.integers(0, 20) | st.sampled_from([UNKNOWN, *MALFORMED])


class LockStep(RuleBasedStateMachine):
    """Every step and the model, with what each step calls the tickets that the model numbers."""

    mongodb_uri: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.running = ExitStack()
        self.http = {
            step: self.running.enter_context(running(step, self.mongodb_uri)) for step in STEPS
        }
        self.ids: dict[str, list[str]] = {step: [] for step in STEPS}

    def teardown(self) -> None:
        self.running.close()

    def ask(self, expected: Answer, method: str, path: str, ticket: Target, **more: Any) -> None:
        """Send a request to each step, which has an id of its own for the ticket, and compare."""
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
        """Return the body with numbers for ids and without the times, which the clock decides."""
        if response.status_code == 204:
            return None
        body = response.json()
        for each in body if isinstance(body, list) else [body]:
            if "id" in each:
                each["id"] = self.ids[step].index(each["id"])
            for moment in each.keys() & {"created_at", "updated_at"}:
                assert re.fullmatch(TIMESTAMP, each.pop(moment))
        return body

    def command(self, method: str, route: str, ticket: Target, body: Json) -> None:
        """Send a command on a ticket, which the model knows by the name of its route."""
        apply = {
            "": self.model.update,
            "/status": self.model.change_status,
            "/agent-note": self.model.add_agent_note,
        }[route]
        known = self.known(ticket)
        expected = INVALID if known in MALFORMED else apply(number_of(known), body)
        self.ask(expected, method, f"/tickets/{{id}}{route}", known, **as_json(body))

    def known(self, ticket: Target) -> Target:
        """Return a number that has a ticket, or what is no number as it is."""
        if isinstance(ticket, str):
            return ticket
        return ticket % len(self.model.tickets) if self.model.tickets else UNKNOWN

    @rule(body=bodies(customer_id=texts, subject=texts, message=texts))
    def create(self, body: Json) -> None:
        self.ask(self.model.create(body), "POST", "/tickets", UNKNOWN, **as_json(body))

    @rule(message=texts)
    def create_well(self, message: str) -> None:
        self.create(
            {"customer_id": "c-42", "subject": "No invoice", "message": f"m{message}"[:20_000]}
        )

    @rule(ticket=some_ticket, body=bodies(status=statuses, agent_note=texts))
    def update(self, ticket: Target, body: Json) -> None:
        self.command("PATCH", "", ticket, body)

    @rule(ticket=some_ticket, body=bodies(new_status=statuses))
    def change_status(self, ticket: Target, body: Json) -> None:
        self.command("POST", "/status", ticket, body)

    @rule(ticket=some_ticket, body=bodies(note=texts))
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
        self.ask(expected, "GET", "/tickets", UNKNOWN, params=given)

    @rule(wrong=st.sampled_from(WRONG_QUERIES))
    def list_wrongly(self, wrong: str) -> None:
        self.ask(INVALID, "GET", f"/tickets?{wrong}", UNKNOWN)

    @invariant()
    def list_and_dashboard_agree(self) -> None:
        self.ask(self.model.list_tickets(None, None, 100, 0), "GET", "/tickets?limit=100", UNKNOWN)
        self.ask(self.model.dashboard(), "GET", "/dashboard", UNKNOWN)


def number_of(known: Target) -> int | None:
    return known if isinstance(known, int) else None


def as_json(body: Json) -> dict[str, Any]:
    """Return what sends the body, with NaN and lone surrogates that other encoders refuse."""
    return {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}


@contextmanager
def running(step: str, mongodb_uri: str | None) -> Iterator[TestClient]:
    """Run a step on an empty database, in memory where there is no URI."""
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


@pytest.mark.timeout(1800)
def test_the_steps_and_the_model_answer_alike_on_mongomock(lane: Lane) -> None:
    run_state_machine_as_test(LockStep, settings=lock_step(lane.runs, lane.rules))


def test_the_steps_and_the_model_answer_alike_on_mongod(mongod: str, lane: Lane) -> None:
    class OnMongod(LockStep):
        mongodb_uri = mongod

    run_state_machine_as_test(OnMongod, settings=lock_step(lane.runs // 20, lane.rules))


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
    """Return what is seen of a ticket, but for its id and the times."""
    everything = read_list_item(http, ticket) | read(http, ticket)
    return {name: everything[name] for name in everything if name not in PASSING}
