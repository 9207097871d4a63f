"""Step 4's read model is rebuilt while all else goes on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import ObjectId
from fastapi.testclient import TestClient
from pymongo.collection import Collection
from pymongo.database import Database

from step_04_full_cqrs.main import app

from ..support.recount import Document, recount, served, tickets_of_step_1
from ..support.requests import create, patch
from ..support.servers import run_to_end, serve
from ..support.sides import CLOSE, REBUILD, SERVICE, both_sides, is_exact, wait_until_projected


def spoil(read_side: Database[Document]) -> None:
    """Make rows and counts wrong, take rows away, and add some that belong to no ticket."""
    wrong = {"subject": "?", "status": "closed", "has_note": True}
    read_side.ticket_reads.update_many({"status": "open"}, {"$set": wrong})
    read_side.ticket_reads.delete_many({"status": "triaged", "has_note": False})
    rows = read_side.ticket_reads.find().to_list()
    read_side.ticket_reads.insert_many(row | {"_id": ObjectId()} for row in rows)
    read_side.dashboard.update_one({}, {"$inc": {"open": 7, "closed": -70}})


def spoil_moments(read_side: Database[Document]) -> None:
    spoil(read_side)
    read_side.ticket_reads.update_many({}, {"$unset": {"as_of": ""}})


def lose_everything(read_side: Database[Document]) -> None:
    read_side.client.drop_database(read_side)


@pytest.mark.parametrize("harm", [spoil, spoil_moments, lose_everything])
def test_a_rebuild_mends_whatever_happened_to_the_read_model(
    harm: Callable[[Database[Document]], None],
    tickets: Collection[Document],
    read_side: Database[Document],
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app):
        pass
    harm(read_side)
    with TestClient(both_sides) as http:
        assert not is_exact(http, tickets)
        rebuilt = run_to_end(REBUILD)
        assert rebuilt.returncode == 0
        assert "30/30" in rebuilt.stdout  # the progress bar
        assert served(http) == recount(tickets)


def test_a_rebuild_disturbs_neither_reads_nor_writes(
    tickets: Collection[Document], read_side: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(1500))
    left_alone = {"customer_id": "c-42"}
    ids = tickets.distinct("_id", left_alone)
    with serve(SERVICE, "--workers", "2") as server, ThreadPoolExecutor() as threads:

        def look() -> tuple[object, ...]:
            query: Document = {"status": "triaged", "has_note": True, "limit": 100}
            items = server.http.get("/tickets", params=query).raise_for_status().json()
            counts = server.http.get("/dashboard").raise_for_status().json()
            rows = read_side.ticket_reads.find({"_id": {"$in": ids}}, {"as_of": 0}, sort=["_id"])
            return items, counts["triaged"], rows.to_list()

        def write() -> None:
            while not all(rebuild.done() for rebuild in rebuilds):
                patch(server.http, create(server.http), **CLOSE)

        before = look()
        rebuilds = [threads.submit(run_to_end, REBUILD) for _ in range(2)]
        writers = [threads.submit(write) for _ in range(3)]
        while not all(rebuild.done() for rebuild in rebuilds):
            assert look() == before
        assert [rebuild.result().returncode for rebuild in rebuilds] == [0, 0]
        for writer in writers:
            writer.result()
        wait_until_projected(tickets, read_side)
        assert served(server.http) == recount(tickets)
