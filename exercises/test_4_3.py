"""Exercise 4.3: another projection, by the projector."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient

from tests.recount import tickets_of_step_1
from tests.requests import add_note, create, patch, read, wait_for_the_next_millisecond
from tests.servers import STEPS, run_to_end, wait_until

pytestmark = pytest.mark.parametrize("step", STEPS[3:], indirect=True)
on_mongod = pytest.mark.parametrize("engine", ["mongod"], indirect=True)


def last_change_of(http: TestClient, customer: str) -> str | None:
    response = http.get(f"/customers/{customer}")
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"last_change"}
    last_change: str | None = response.json()["last_change"]
    return last_change


def test_a_command_is_seen_by_the_next_read(http: TestClient) -> None:
    assert last_change_of(http, "ann") is None
    first, other, second = (create(http, customer_id=each) for each in ("ann", "bob", "ann"))
    assert last_change_of(http, "ann") == second["updated_at"]
    wait_for_the_next_millisecond()
    first = patch(http, first, status="closed")
    assert last_change_of(http, "ann") == first["updated_at"]
    wait_for_the_next_millisecond()
    add_note(http, second, "Called back")
    assert last_change_of(http, "ann") == read(http, second)["updated_at"]
    assert last_change_of(http, "bob") == other["updated_at"]


@on_mongod
def test_tickets_that_are_projected_again_in_any_order_change_nothing(
    http: TestClient, database: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    for _ in range(3):
        wait_for_the_next_millisecond()
        last = create(http, customer_id="ann")
    tickets = mongo[database].tickets
    for ticket_id in sorted(tickets.distinct("_id"), reverse=True):
        again = {"$set": {"unprojected": True}, "$inc": {"version": 1}}
        tickets.update_one({"_id": ticket_id}, again)
        wait_until(lambda: tickets.find_one({"unprojected": True}) is None)
        assert last_change_of(http, "ann") == last["updated_at"]


@on_mongod
def test_a_rebuild_finds_the_tickets_that_were_there_before(
    http: TestClient, database: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    create(http)
    tickets = tickets_of_step_1(30)
    for number, ticket in enumerate(tickets):
        ticket["customer_id"] = f"c-{number % 3}"
    mongo[database].tickets.insert_many(tickets)
    last_changes = {each["customer_id"]: timestamp_of(each) for each in tickets}
    assert [last_change_of(http, each) for each in last_changes] == [None] * 3
    assert run_to_end("step_04_full_cqrs.rebuild").returncode == 0
    assert {each: last_change_of(http, each) for each in last_changes} == last_changes


def timestamp_of(ticket: dict[str, Any]) -> str:
    moment: str = ticket["updated_at"].isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
