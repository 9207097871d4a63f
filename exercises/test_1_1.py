"""Exercise 1.1: the tickets of a customer."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient

from tests.support.recount import tickets_of_step_1
from tests.support.requests import assert_refused, create, patch, read_list
from tests.support.servers import STEPS

pytestmark = pytest.mark.parametrize("step", STEPS[:1], indirect=True)


def test_the_list_shows_the_tickets_of_one_customer(http: TestClient) -> None:
    for customer in "ann", "bob", "ann", "Ann":
        create(http, customer_id=customer)
    everything = read_list(http, limit=100)
    anns, bobs = read_list(http, customer_id="ann"), read_list(http, customer_id="bob")
    assert [len(anns), len(bobs)] == [2, 1]
    assert [item for item in everything if item in anns] == anns
    assert bobs[0] in everything
    assert read_list(http, customer_id="an") == []


def test_it_combines_with_the_other_filters_and_with_pages(http: TestClient) -> None:
    for customer in "ann", "bob":
        for status in "open", "closed":
            for note in "", "Called back":
                patch(http, create(http, customer_id=customer), status=status, agent_note=note)
    items = read_list(http, customer_id="ann")
    assert len(items) == 4
    assert read_list(http, customer_id="ann", limit=2, skip=1) == items[1:3]
    for status in "open", "closed":
        of_status = [item for item in items if item["status"] == status]
        assert read_list(http, customer_id="ann", status=status) == of_status
        noted = [item for item in of_status if item["has_note"]]
        assert read_list(http, customer_id="ann", status=status, has_note=True) == noted


def test_an_empty_customer_is_invalid(http: TestClient) -> None:
    assert_refused(http.get("/tickets?customer_id="), 422)


@pytest.mark.parametrize("engine", ["mongod"], indirect=True)
def test_mongodb_reads_no_other_tickets_and_sorts_nothing(
    database: str, http: TestClient, mongo: MongoClient[dict[str, Any]]
) -> None:
    db = mongo[database]
    others = tickets_of_step_1(300)
    db.tickets.insert_many([each | {"customer_id": f"c-{n}"} for n, each in enumerate(others)])
    db.tickets.insert_many(tickets_of_step_1(30))
    db.command("profile", 2)
    assert len(read_list(http, customer_id="c-42", limit=7, skip=7)) == 7
    db.command("profile", 0)
    [query] = db["system.profile"].find({"ns": f"{database}.tickets"})
    assert query["planSummary"].startswith("IXSCAN")
    assert not query.get("hasSortStage", False)
    assert query["docsExamined"] <= 7 + 7
