"""A read model that was rebuilt is the one that was projected live, document by document."""

import importlib
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.database import Database

from .recount import Document
from .requests import add_note, change_status, create, patch
from .servers import STEPS, run_to_end


@pytest.mark.parametrize(("step", "suffix"), [(STEPS[2], ""), (STEPS[3], "_read")])
def test_rebuilt_and_live_are_equal(
    step: str, suffix: str, database: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    read = mongo[f"{database}{suffix}"]
    with TestClient(importlib.import_module(f"{step}.main").app) as http:
        for status in ("open", "triaged", "closed"):
            for note in ("", "Sent again"):
                ticket = create(http, message=f"Many\nlines\r\nof {status}\n" * 9)
                change_status(http, ticket, status)
                add_note(http, ticket, note)
                patch(http, ticket, status="closed", agent_note=None)
                create(http)
    live = documents(read)
    spoil(read)
    assert documents(read) != live
    assert run_to_end(f"{step}.rebuild").returncode == 0
    assert documents(read) == live


def documents(read: Database[Document]) -> tuple[list[Document], list[Document]]:
    """Return all that is read, without what only the projector's log needs."""
    rows = read.ticket_list.find({}, {"gen": 0}, sort=[("_id", 1)])
    return rows.to_list(), read.dashboard.find({}, ["open", "triaged", "closed"]).to_list()


def spoil(read: Database[Document]) -> None:
    read.ticket_list.update_many({"status": "open"}, {"$set": {"preview": "?"}})
    read.dashboard.update_one({}, {"$inc": {"open": 7}})
