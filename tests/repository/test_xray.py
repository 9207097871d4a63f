"""The X-ray of the workbench says what MongoDB's own profiler says."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from workbench.compare import REQUESTS
from workbench.xray import HEADER

from ..support.desk import DESK, state_of
from ..support.recount import tickets_of_step_1
from ..support.requests import create
from ..support.servers import STEPS, Server, serve, wait_until

pytestmark = pytest.mark.slow

Document = dict[str, Any]
Figures = tuple[str, str, int, int, int, int]

STEP_3, STEP_4 = STEPS[2:]
NAMES = {"insert": "insert", "query": "find", "update": "update", "getmore": "getMore"}
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def desk(step: str, database: str, mongo: MongoClient[Document]) -> Iterator[Server]:
    """What `run` serves of a step, with some tickets."""
    mongo[database].tickets.insert_many(tickets_of_step_1(60))
    with serve(DESK, STEP=step, PROJECTOR="apart" if step == STEP_4 else "") as server:
        yield server


def begin_profile(databases: list[Database[Document]]) -> None:
    for db in databases:
        db.command("profile", 0)
        db.drop_collection("system.profile")
        db.command("profile", 2)
    # A getMore that began while nothing was profiled never is. The projector's last 0.1 seconds.
    time.sleep(0.2)


def profile(databases: list[Database[Document]]) -> list[Document]:
    """Return what the profiler saw of requests and projections, without upkeep and look-ups."""
    return [
        entry
        for db in databases
        for entry in db["system.profile"].find()
        if not {"explain", "projection", "listIndexes", "killCursors"} & entry["command"].keys()
        and "$changeStream" not in str(entry["command"].get("pipeline"))
        and not (entry["op"] == "getmore" and entry["nreturned"] == 0)
    ]


def of_profiler(entry: Document) -> Figures:
    name = NAMES.get(entry["op"]) or next(iter(entry["command"]))
    written = ("ninserted", "nModified", "nUpserted", "ndeleted")
    return (
        name,
        entry["ns"].partition(".")[2],
        entry.get("keysExamined", 0) if name != "getMore" else 0,
        entry.get("docsExamined", 0) if name != "getMore" else 0,
        entry.get("nreturned", 0),
        sum(entry.get(key, 0) for key in written),
    )


def of_xray(command: Document) -> Figures:
    name = command["command"]
    return (
        name,
        command["collection"],
        command["keys_examined"],
        command["documents_examined"],
        # The profiler does not count what findAndModify returns.
        command["documents_returned"] if name != "findAndModify" else 0,
        command["documents_written"],
    )


def test_the_xray_says_what_the_profiler_says_of_each_request_and_its_projection(
    desk: Server, step: str, database: str, mongo: MongoClient[Document]
) -> None:
    databases = [mongo[database], mongo[f"{database}_read"]]
    projections = 0
    for request, body in REQUESTS.items():
        method, path = request.split()
        [newest] = desk.http.get("/tickets", params={"status": "open", "limit": 1}).json()
        begin_profile(databases)
        response = desk.http.request(method, path.format(**newest), json=body, headers=ASYNC)
        assert response.is_success
        xray = desk.http.get(f"/desk/requests/{response.headers[HEADER]}").json()["commands"]
        assert xray
        if step == STEP_4 and method != "GET":
            projections += 1
            xray += commands_of_projection(desk, projections)
        seen = profile(databases)
        assert sorted(map(of_xray, xray)) == sorted(map(of_profiler, seen)), request
        if method == "GET":
            # A reply has some hundred bytes more around its documents.
            assert 0 < seen[0]["responseLength"] - xray[0]["bytes_returned"] < 1000


def commands_of_projection(desk: Server, number: int) -> list[Document]:
    url = f"/desk/projections/{number}"
    wait_until(lambda: desk.http.get(url).is_success)
    commands: list[Document] = desk.http.get(url).json()["commands"]
    return commands


def test_requests_that_meet_are_told_apart_and_look_ups_count_for_none(
    desk: Server, step: str
) -> None:
    tickets = [create(desk.http) for _ in range(8)]

    def add_note(ticket: Document) -> list[str]:
        url = f"/tickets/{ticket['id']}/agent-note"
        response = desk.http.post(url, json={"note": "All at once"}).raise_for_status()
        xray: Document = desk.http.get(f"/desk/requests/{response.headers[HEADER]}").json()
        return [f"{each['command']} {each['collection']}" for each in xray["commands"]]

    expected = ["findAndModify tickets"]
    expected += ["update ticket_reads"] if step == STEP_3 else []
    with ThreadPoolExecutor(8) as clients:
        for commands in clients.map(add_note, tickets):
            assert commands == expected


def test_a_batch_of_many_changes_is_reported_and_not_explained(
    database: str, tickets: Collection[Document]
) -> None:
    with serve(DESK, STEP=STEP_4, PROJECTOR="apart") as desk:
        desk.http.put("/desk/projector", json={"paused": True}).raise_for_status()
        tickets.insert_many(tickets_of_step_1(300))
        wait_until(lambda: state_of(desk)["behind_milliseconds"] > 0)
        desk.http.put("/desk/projector", json={"paused": False}).raise_for_status()
        wait_until(lambda: state_of(desk)["behind_milliseconds"] == 0)
        projections = state_of(desk)["projections"]
        assert sum(each["commands"][0]["documents_returned"] for each in projections) == 300
        [read, rows, counts] = desk.http.get("/desk/projections/1").json()["commands"]
        assert rows["documents_written"] == read["documents_returned"] > 10
        assert rows["documents_examined"] is None
        assert counts["documents_examined"] == 1


def test_in_memory_the_xray_says_that_it_needs_a_mongodb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with serve(DESK, STEP=STEPS[0]) as desk:
        assert HEADER not in desk.http.get("/tickets").headers
        assert state_of(desk)["xray"] is False
        answer = desk.http.get("/desk/requests/1")
        assert (answer.status_code, "needs a MongoDB" in answer.text) == (404, True)


def test_a_request_that_is_forgotten_is_not_found(desk: Server) -> None:
    first = desk.http.get("/dashboard").headers[HEADER]
    for _ in range(200):
        desk.http.get("/dashboard")
    assert desk.http.get(f"/desk/requests/{first}").status_code == 404
    assert desk.http.get(f"/desk/requests/{int(first) + 1}").is_success
