"""Exercise 3.2: look into the gap."""

import asyncio
import runpy
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.database import Database

from step_03_projections import rebuild
from step_03_projections.main import app
from tests.support.recount import tickets_of_step_1
from tests.support.requests import create


@pytest.fixture
def db(mongo: MongoClient[dict[str, Any]], database: str) -> Database[dict[str, Any]]:
    """A database with a right read model. Step 1 wrote some of its tickets."""
    mongo[database].tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app) as http:
        create(http)
    return mongo[database]


def check(capsys: pytest.CaptureFixture[str]) -> tuple[object, list[str]]:
    """Return the exit status and what was printed, line by line."""
    status: object = 0
    try:
        runpy.run_module("step_03_projections.check", run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
    return status, sorted(line for line in capsys.readouterr().out.splitlines() if line)


def test_each_ticket_whose_row_is_not_right_is_printed_until_a_rebuild(
    db: Database[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(capsys) == (0, [])
    closed, noted, lost, deleted = db.tickets.find({"status": "open"}, limit=4)
    now = datetime.now(UTC)
    for ticket, change in (closed, {"status": "closed"}), (noted, {"agent_note": "Sent again"}):
        update = {"$set": change | {"updated_at": now}, "$inc": {"version": 1}}
        db.tickets.update_one({"_id": ticket["_id"]}, update)
    db.ticket_reads.delete_one({"_id": lost["_id"]})
    db.tickets.delete_one({"_id": deleted["_id"]})
    wrong = sorted(str(ticket["_id"]) for ticket in (closed, noted, lost, deleted))
    assert check(capsys) == (1, wrong)

    asyncio.run(rebuild.main())
    assert check(capsys) == (0, [])
