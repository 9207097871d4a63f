"""A rebuilt read model is the same as one that was projected live, document by document."""

import importlib

import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.database import Database

from ..support.recount import STATUSES, Document
from ..support.requests import add_note, change_status, create, patch
from ..support.servers import STEPS, run_to_end


@pytest.mark.parametrize(("step", "suffix"), [(STEPS[2], ""), (STEPS[3], "_read")])
def test_rebuilt_and_live_are_equal(
    step: str, suffix: str, database: str, mongo: MongoClient[Document]
) -> None:
    read = mongo[f"{database}{suffix}"]
    with TestClient(importlib.import_module(f"{step}.main").app) as http:
        for status in STATUSES:
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
    """Return all that queries read, without its moments in MongoDB's log."""
    rows = read.ticket_reads.find({}, {"as_of": 0}, sort=[("_id", 1)])
    return rows.to_list(), read.dashboard.find(
        {}, {"_id": 0, **dict.fromkeys(STATUSES, 1)}
    ).to_list()


def spoil(read: Database[Document]) -> None:
    """Change rows, remove rows, add one that belongs to no ticket, and miscount."""
    read.ticket_reads.update_many({"status": "open"}, {"$set": {"preview": "?"}})
    read.ticket_reads.delete_one({"status": "closed"})
    read.ticket_reads.insert_one({**read.ticket_reads.find()[0], "_id": ObjectId()})
    read.dashboard.update_one({}, {"$inc": {"open": 7}})
