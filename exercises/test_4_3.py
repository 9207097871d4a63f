"""Exercise 4.3: another projection, by the projector."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.database import Database

from step_04_full_cqrs import command_api, main, rebuild
from tests.support.recount import tickets_of_step_1
from tests.support.requests import NEW_TICKET, add_note, create, patch
from tests.support.servers import STEPS, run_to_end

pytestmark = pytest.mark.parametrize("step", STEPS[3:], indirect=True)
on_mongod = pytest.mark.parametrize("engine", ["mongod"], indirect=True)

NAMES = ["ann", "Ann", "a.b", ".", "$ann", "a$b", "0", "ä", "a\0"]


def tickets_of(http: TestClient, customer: str) -> int:
    response = http.get("/ticket-count", params={"customer_id": customer})
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"tickets"}
    count: int = response.json()["tickets"]
    return count


@pytest.fixture
def db(database: str, mongo: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    return mongo[database]


def test_a_customer_has_as_many_tickets_as_were_created(http: TestClient) -> None:
    assert tickets_of(http, "ann") == 0
    for customer in "ann", "bob", "ann":
        ticket = create(http, customer_id=customer)
        add_note(http, ticket, "Called back")
        patch(http, ticket, status="closed")
    assert [tickets_of(http, each) for each in ("ann", "bob", "Ann")] == [2, 1, 0]


def test_a_customer_may_have_any_name(http: TestClient) -> None:
    for number, name in enumerate(NAMES, 1):
        for _ in range(number):
            create(http, customer_id=name)
    assert [tickets_of(http, name) for name in NAMES] == [*range(1, len(NAMES) + 1)]
    assert http.get("/dashboard").json() == {"open": 45, "triaged": 0, "closed": 0}


@on_mongod
def test_what_was_changed_by_hand_counts_as_it_is_now(
    http: TestClient, db: Database[dict[str, Any]]
) -> None:
    for _ in range(3):
        create(http, customer_id="ann")
    db.tickets.delete_one({"customer_id": "ann"})
    db.tickets.update_one({"customer_id": "ann"}, {"$set": {"customer_id": "bob"}})
    db.tickets.insert_one({})
    create(http)
    assert [tickets_of(http, each) for each in ("ann", "bob")] == [1, 1]


@on_mongod
def test_a_build_counts_the_tickets_that_were_there_before(
    http: TestClient, db: Database[dict[str, Any]]
) -> None:
    customers = {f"c-{number}": number % 3 + 1 for number in range(150)}
    names = Counter(customers).elements()
    tickets = [
        each | {"customer_id": name}
        for each, name in zip(tickets_of_step_1(300), names, strict=True)
    ]
    db.tickets.insert_many([*tickets, {}])
    asyncio.run(rebuild.main())
    create(http, customer_id="c-7")
    customers["c-7"] += 1
    assert {name: tickets_of(http, name) for name in customers} == customers


def test_a_projector_that_dies_counts_no_ticket_twice_or_never(step: str, database: str) -> None:
    hurry = {"Prefer": "respond-async"}
    with TestClient(main.app) as http:  # its start builds the read side
        assert tickets_of(http, NEW_TICKET["customer_id"]) == 0
    with TestClient(command_api.app) as commands:
        for moment in "before", "after":
            for _ in range(3):
                assert commands.post("/tickets", json=NEW_TICKET, headers=hurry).is_success
            second_write = (moment, "2", "update ticket_reads", f"{step}.projector")
            assert run_to_end("tests.support.dying", *second_write).returncode == 70
    with TestClient(main.app) as http:
        assert tickets_of(http, NEW_TICKET["customer_id"]) == 6
        assert http.get("/dashboard").json()["open"] == 6
