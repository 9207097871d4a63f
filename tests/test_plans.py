"""Every query of steps 3 and 4 is one read by an index, as MongoDB's own profiler saw it."""

import importlib
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient

from .recount import FILTERS, Document, tickets_of_step_1

PAGES = [{}, {"limit": 7}, {"limit": 7, "skip": 20}, {"limit": 100, "skip": 10_000}]


@pytest.mark.parametrize(
    ("app", "suffix"),
    [("step_03_projections.main", ""), ("step_04_full_cqrs.query_api", "_read")],
)
def test_every_query_reads_what_it_returns_and_sorts_nothing(
    app: str, suffix: str, database: str, mongo: MongoClient[dict[str, Any]]
) -> None:
    service = importlib.import_module(app).app
    tickets, read = mongo[database].tickets, mongo[f"{database}{suffix}"]
    # MongoDB remembers which index served a query well, here: any, as all tickets have a note.
    tickets.insert_many([each | {"agent_note": "!"} for each in tickets_of_step_1(90)])
    with TestClient(service) as http:
        for _ in range(6):
            assert http.get("/tickets?status=open&has_note=true").is_success
    tickets.insert_many(tickets_of_step_1(900))
    with TestClient(service) as http:
        read.command("profile", 2)
        for filters in FILTERS:
            for page in PAGES:
                assert http.get("/tickets", params=filters | page).is_success
        assert http.get("/dashboard").is_success
        read.command("profile", 0)

    lists = read["system.profile"].find({"ns": f"{read.name}.ticket_list"}).to_list()
    assert len(lists) == len(FILTERS) * len(PAGES)
    assert [query for query in lists if not is_one_indexed_read(query)] == []
    dashboards = read["system.profile"].find({"ns": f"{read.name}.dashboard"}).to_list()
    assert [query["docsExamined"] for query in dashboards] == [1]


def is_one_indexed_read(query: Document) -> bool:
    find = query["command"]
    return (
        query["planSummary"].startswith("IXSCAN")
        and not query.get("hasSortStage", False)
        and query["docsExamined"] <= find.get("skip", 0) + find["limit"]
        and query["keysExamined"] <= find.get("skip", 0) + find["limit"]
    )
