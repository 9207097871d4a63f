"""MongoDB's own profiler sees that no list sorts, and that read models read only what they show."""

import importlib

import pytest
from fastapi.testclient import TestClient
from pymongo import MongoClient

from ..support.recount import FILTERS, Document, tickets_of_step_1
from ..support.servers import STEPS

PAGES: list[Document] = [{}, {"limit": 7}, {"limit": 7, "skip": 20}, {"limit": 100, "skip": 10_000}]
STEP_1, STEP_2, STEP_3, STEP_4 = STEPS


def client_of(module: str) -> TestClient:
    return TestClient(importlib.import_module(module).app)


def queries(
    step: str, database: str, mongo: MongoClient[Document], app: str = "main", suffix: str = ""
) -> list[Document]:
    """Return what MongoDB did to answer every kind of list, and then the dashboard."""
    tickets, read = mongo[database].tickets, mongo[f"{database}{suffix}"]
    # MongoDB remembers which index served a query well while there were few tickets.
    for number in (30, 900):
        tickets.insert_many(tickets_of_step_1(number))
        with client_of(f"{step}.main") as http:
            for filters in FILTERS * 3:
                assert http.get("/tickets", params=filters).is_success
    with client_of(f"{step}.{app}") as http:
        read.command("profile", 2)
        for filters in FILTERS:
            for page in PAGES:
                assert http.get("/tickets", params=filters | page).is_success
        assert http.get("/dashboard").is_success
        read.command("profile", 0)
    done = read["system.profile"].find({"ns": {"$ne": f"{read.name}.system.profile"}}).to_list()
    assert len(done) == len(FILTERS) * len(PAGES) + 1  # one query a request
    return done


def is_sorted_by_index(query: Document) -> bool:
    return query["planSummary"].startswith("IXSCAN") and not query.get("hasSortStage", False)


def reads_what_it_shows(query: Document) -> bool:
    most = query["command"].get("skip", 0) + query["command"]["limit"]
    return bool(query["docsExamined"] <= most and query["keysExamined"] <= most)


@pytest.mark.parametrize("step", [STEP_1, STEP_2])
def test_a_list_of_tickets_is_read_in_the_order_of_an_index(
    step: str, database: str, mongo: MongoClient[Document]
) -> None:
    *lists, _ = queries(step, database, mongo)
    assert [query for query in lists if not is_sorted_by_index(query)] == []
    # No index tells which tickets have a note.
    simple = [query for query in lists if "agent_note" not in query["command"]["filter"]]
    assert simple
    assert [query for query in simple if not reads_what_it_shows(query)] == []


@pytest.mark.parametrize(
    ("step", "app", "suffix"), [(STEP_3, "main", ""), (STEP_4, "query_api", "_read")]
)
def test_a_list_of_rows_is_one_indexed_read(
    step: str, app: str, suffix: str, database: str, mongo: MongoClient[Document]
) -> None:
    *lists, dashboard = queries(step, database, mongo, app, suffix)
    assert {query["ns"] for query in lists} == {f"{database}{suffix}.ticket_reads"}
    bad = [q for q in lists if not (is_sorted_by_index(q) and reads_what_it_shows(q))]
    assert bad == []
    if step == STEP_4:
        assert dashboard["ns"] == f"{database}_read.dashboard"
        assert dashboard["docsExamined"] == 1
