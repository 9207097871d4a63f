"""Exercise 3.1: another projection."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient

from tests.requests import NEW_TICKET, add_note, create, patch
from tests.servers import STEPS, run_to_end

pytestmark = pytest.mark.parametrize("step", STEPS[2:3], indirect=True)
on_mongod = pytest.mark.parametrize("engine", ["mongod"], indirect=True)


def tickets_of(http: TestClient, customer: str) -> int:
    response = http.get(f"/customers/{customer}")
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"tickets"}
    count: int = response.json()["tickets"]
    return count


def test_a_customer_has_as_many_tickets_as_were_created(http: TestClient) -> None:
    assert tickets_of(http, "ann") == 0
    for customer in "ann", "bob", "ann":
        ticket = create(http, customer_id=customer)
        add_note(http, ticket, "Called back")
        patch(http, ticket, status="closed")
    assert [tickets_of(http, each) for each in ("ann", "bob", "Ann")] == [2, 1, 0]


def test_tickets_that_are_created_at_once_all_count(http: TestClient) -> None:
    customers = ["ann", "bob"] * 20
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda customer: create(http, customer_id=customer), customers))
    assert [tickets_of(http, each) for each in ("ann", "bob")] == [20, 20]


@on_mongod
def test_the_answer_is_prepared_when_a_ticket_is_created_not_when_somebody_asks(
    http: TestClient, database: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    for number in range(30):
        create(http, customer_id=f"c-{number % 3}")
    mongo[database].command("profile", 2)
    assert tickets_of(http, "c-1") == 10
    mongo[database].command("profile", 0)
    [query] = mongo[database]["system.profile"].find({"docsExamined": {"$exists": True}})
    assert query["docsExamined"] == 1


@on_mongod
def test_a_rebuild_counts_the_tickets_that_were_there_before(
    http: TestClient, database: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    customers = Counter({"ann": 3, "bob": 2, "eve": 1})
    mongo[database].tickets.insert_many(
        NEW_TICKET
        | {"customer_id": customer, "status": "open", "agent_note": None, "version": 1}
        | dict.fromkeys(("created_at", "updated_at"), datetime.now(UTC))
        for customer in customers.elements()
    )
    for _ in range(2):
        assert run_to_end("step_03_projections.rebuild").returncode == 0
        assert {each: tickets_of(http, each) for each in customers} == customers
    create(http, customer_id="bob")
    assert tickets_of(http, "bob") == 3
