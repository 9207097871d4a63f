"""Exercise 4.2: what has been parked."""

from typing import Any

import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.recount import tickets_of_step_1
from tests.requests import create
from tests.servers import STEPS, run_to_end

pytestmark = [
    pytest.mark.parametrize("step", STEPS[3:], indirect=True),
    pytest.mark.parametrize("engine", ["mongod"], indirect=True),
]


@pytest.fixture
def tickets(
    http: TestClient, database: str, mongo: MongoClient[dict[str, Any]]
) -> Collection[dict[str, Any]]:
    return mongo[database].tickets


def read_parked(http: TestClient) -> Any:
    response = http.get("/parked")
    assert response.status_code == 200, response.text
    return response.json()


def test_a_ticket_is_listed_with_its_reason_until_it_is_mended(
    http: TestClient, tickets: Collection[dict[str, Any]]
) -> None:
    whole = tickets_of_step_1(1)[0] | {"_id": ObjectId(), "version": 1, "unprojected": True}
    tickets.insert_one(whole | {"message": 42})
    create(http)
    [parked] = read_parked(http)
    assert parked.keys() == {"id", "reason"}
    assert parked["id"] == str(whole["_id"])
    assert "AttributeError" in parked["reason"]

    mended = {"$set": {"message": whole["message"], "unprojected": True}, "$inc": {"version": 1}}
    tickets.update_one({"_id": whole["_id"]}, mended)
    create(http)
    assert read_parked(http) == []


def test_no_other_ticket_is_looked_at(
    http: TestClient, tickets: Collection[dict[str, Any]]
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    tickets.insert_one(tickets_of_step_1(1)[0] | {"message": 42})
    assert run_to_end("step_04_full_cqrs.rebuild").returncode == 0
    tickets.database.command("profile", 2)
    assert len(read_parked(http)) == 1
    tickets.database.command("profile", 0)
    queries = tickets.database["system.profile"].find({"command.find": "tickets"})
    asked = [each for each in queries if "unprojected" not in each["command"]["filter"]]
    assert [each["docsExamined"] for each in asked] == [1]
