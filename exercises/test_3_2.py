"""Exercise 3.2: look into the gap."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.database import Database

from step_03_projections.main import app
from tests.recount import tickets_of_step_1
from tests.requests import create
from tests.servers import run_to_end


@pytest.fixture
def db(mongo: MongoClient[dict[str, Any]], database: str) -> Iterator[Database[dict[str, Any]]]:
    """A database whose read model is right, of which some tickets were written by step 1."""
    mongo[database].tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app) as http:
        create(http)
    yield mongo[database]


def check() -> tuple[int, list[str]]:
    """Return the exit status and what was printed, line by line."""
    run = run_to_end("step_03_projections.check")
    return run.returncode, sorted(line for line in run.stdout.splitlines() if line)


def test_nothing_is_printed_where_the_read_model_is_right(db: Database[Any]) -> None:
    assert check() == (0, [])


def test_the_id_is_printed_of_each_ticket_whose_row_is_missing_or_another(
    db: Database[Any],
) -> None:
    closed, noted, lost = db.tickets.find({"status": "open"}, limit=3)
    now = datetime.now(UTC)
    for ticket, change in (closed, {"status": "closed"}), (noted, {"agent_note": "Sent again"}):
        update = {"$set": change | {"updated_at": now}, "$inc": {"version": 1}}
        db.tickets.update_one({"_id": ticket["_id"]}, update)
    db.ticket_list.delete_one({"_id": lost["_id"]})
    status, printed = check()
    assert status == 1
    assert {str(ticket["_id"]) for ticket in (closed, noted, lost)} <= set(printed)
    assert len(set(printed) - {"dashboard"}) == 3

    assert run_to_end("step_03_projections.rebuild").returncode == 0
    assert check() == (0, [])


def test_the_word_dashboard_is_printed_where_the_counts_are_not_those_of_the_rows(
    db: Database[Any],
) -> None:
    db.dashboard.update_one({}, {"$inc": {"open": 1}})
    assert check() == (1, ["dashboard"])
