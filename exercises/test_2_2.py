"""Exercise 2.2: what has been forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient

from tests.support.recount import tickets_of_step_1
from tests.support.requests import assert_refused, create, read_list
from tests.support.servers import STEPS

pytestmark = [
    pytest.mark.parametrize("step", STEPS[1:2], indirect=True),
    pytest.mark.parametrize("engine", ["mongod"], indirect=True),
]


@pytest.fixture
def old(database: str, mongo: MongoClient[dict[str, Any]], http: TestClient) -> list[str]:
    """The ids of open and triaged tickets that nobody has touched for 5, 6, ... 33 days."""
    today = datetime.now(UTC)
    tickets = tickets_of_step_1(30)
    for number, ticket in enumerate(tickets):
        ticket["updated_at"] = today - timedelta(days=5 + number, minutes=1)
    mongo[database].tickets.insert_many(tickets)
    create(http)
    return [str(ticket["_id"]) for ticket in tickets if ticket["status"] != "closed"]


def forgotten(http: TestClient, query: str = "") -> list[str]:
    response = http.get(f"/forgotten{query}")
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()]


def test_the_longest_forgotten_comes_first(http: TestClient, old: list[str]) -> None:
    assert forgotten(http, "?days=1") == old[::-1]
    assert forgotten(http, "?days=20") == old[10:][::-1]
    assert forgotten(http, "?days=60") == []


def test_without_days_it_is_a_week(http: TestClient, old: list[str]) -> None:
    assert forgotten(http) == forgotten(http, "?days=7") == old[2:][::-1]


def test_100_tickets_are_listed_at_most(
    http: TestClient, old: list[str], database: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    older = {"status": "open", "updated_at": datetime.now(UTC) - timedelta(days=90)}
    mongo[database].tickets.insert_many([each | older for each in tickets_of_step_1(101)])
    assert len(forgotten(http)) == 100
    assert not {*old} & {*forgotten(http)}


def test_the_items_are_those_of_the_list(http: TestClient, old: list[str]) -> None:
    items = {item["id"]: item for item in read_list(http, limit=100)}
    assert http.get("/forgotten").json() == [items[each] for each in forgotten(http)]


def test_a_number_of_days_that_makes_no_sense_is_invalid(http: TestClient) -> None:
    for days in "", "0", "-1", "366", "many":
        assert_refused(http.get(f"/forgotten?days={days}"), 422)
