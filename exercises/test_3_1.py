"""Exercise 3.1: another projection."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.database import Database

from step_03_projections import rebuild
from step_03_projections.main import app
from tests.support.recount import tickets_of_step_1
from tests.support.requests import (
    add_note,
    create,
    patch,
    read,
    updated_at,
    wait_for_the_next_millisecond,
)
from tests.support.servers import STEPS

pytestmark = pytest.mark.parametrize("step", STEPS[2:3], indirect=True)
on_mongod = pytest.mark.parametrize("engine", ["mongod"], indirect=True)


def last_change_of(http: TestClient, customer: str) -> datetime | None:
    response = http.get("/last-change", params={"customer_id": customer})
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"last_change"}
    last_change: str | None = response.json()["last_change"]
    return datetime.fromisoformat(last_change) if last_change else None


@pytest.fixture
def db(database: str, mongo: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    return mongo[database]


def test_it_is_the_last_change_of_any_ticket_of_the_customer(http: TestClient) -> None:
    assert last_change_of(http, "ann") is None
    first, other, second = (create(http, customer_id=each) for each in ("ann", "bob", "ann"))
    assert last_change_of(http, "ann") == updated_at(second)
    wait_for_the_next_millisecond()
    first = patch(http, first, status="closed")
    assert last_change_of(http, "ann") == updated_at(first)
    wait_for_the_next_millisecond()
    add_note(http, second, "Called back")
    assert last_change_of(http, "ann") == updated_at(read(http, second))
    assert last_change_of(http, "bob") == updated_at(other)
    assert last_change_of(http, "Ann") is None


def test_of_changes_at_the_same_moment_the_last_one_is_kept(http: TestClient) -> None:
    tickets = [create(http, customer_id="ann") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for number in range(80):
            threads.submit(patch, http, tickets[number % 8], agent_note=str(number))
    assert last_change_of(http, "ann") == max(updated_at(read(http, each)) for each in tickets)


@on_mongod
def test_one_document_is_read(http: TestClient, db: Database[dict[str, Any]]) -> None:
    for number in range(30):
        create(http, customer_id=f"c-{number % 3}")
    db.command("profile", 2)
    assert last_change_of(http, "c-1")
    db.command("profile", 0)
    [query] = db["system.profile"].find({"docsExamined": {"$exists": True}})
    assert query["docsExamined"] == 1


@on_mongod
def test_a_start_finds_what_other_steps_and_dying_commands_have_changed(
    http: TestClient, db: Database[dict[str, Any]]
) -> None:
    change = create(http, customer_id="ann")
    later = updated_at(change) + timedelta(minutes=1)
    db.tickets.update_one({}, {"$set": {"updated_at": later}, "$inc": {"version": 1}})
    db.tickets.insert_many(tickets_of_step_1(1_200)[::-1])
    newest = max(each["updated_at"] for each in db.tickets.find({"customer_id": "c-42"}))
    assert [last_change_of(http, each) for each in ("ann", "c-42")] == [updated_at(change), None]
    with TestClient(app) as started:
        assert [last_change_of(started, each) for each in ("ann", "c-42")] == [later, newest]


@on_mongod
def test_a_rebuild_forgets_the_customers_of_deleted_tickets(
    http: TestClient, db: Database[dict[str, Any]]
) -> None:
    create(http, customer_id="ann")
    bobs = create(http, customer_id="bob")
    db.tickets.delete_one({"customer_id": "ann"})
    asyncio.run(rebuild.main())
    assert last_change_of(http, "ann") is None
    assert last_change_of(http, "bob") == updated_at(bobs)
