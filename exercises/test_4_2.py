"""Exercise 4.2: the tickets that have no row."""

from typing import Any

import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.support.recount import tickets_of_step_1
from tests.support.requests import create
from tests.support.servers import STEPS

pytestmark = [
    pytest.mark.parametrize("step", STEPS[3:], indirect=True),
    pytest.mark.parametrize("engine", ["mongod"], indirect=True),
]


@pytest.fixture
def tickets(
    http: TestClient, database: str, mongo: MongoClient[dict[str, Any]]
) -> Collection[dict[str, Any]]:
    return mongo[database].tickets


def read_unlisted(http: TestClient) -> Any:
    response = http.get("/unlisted")
    assert response.status_code == 200, response.text
    return response.json()


def test_a_ticket_that_cannot_be_shown_is_named_until_it_is_mended(
    http: TestClient, tickets: Collection[dict[str, Any]]
) -> None:
    create(http)
    assert read_unlisted(http) == []
    whole = tickets_of_step_1(1)[0] | {"_id": ObjectId()}
    tickets.insert_one(whole | {"message": 42})
    create(http)
    assert read_unlisted(http) == [str(whole["_id"])]
    tickets.update_one({"_id": whole["_id"]}, {"$set": {"message": whole["message"]}})
    create(http)
    assert read_unlisted(http) == []


def test_ids_are_compared_and_no_ticket_is_read(
    http: TestClient, database: str, tickets: Collection[dict[str, Any]]
) -> None:
    tickets.insert_many(tickets_of_step_1(2_500))
    create(http)
    rows = tickets.database.client[f"{database}_read"].ticket_reads
    lost = [row["_id"] for row in rows.find().sort("_id")][::500]
    rows.delete_many({"_id": {"$in": lost}})
    tickets.database.command("profile", 2)
    unlisted = read_unlisted(http)
    tickets.database.command("profile", 0)
    assert unlisted == [str(each) for each in lost]
    reads = tickets.database["system.profile"].find({"docsExamined": {"$exists": True}})
    assert {each["docsExamined"] for each in reads} == {0}
