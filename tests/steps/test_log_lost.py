"""MongoDB forgets the beginning of its log. What a projector does then, and how it avoids that."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from bson import Timestamp
from fastapi.testclient import TestClient
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from step_04_full_cqrs import projector
from step_04_full_cqrs.main import app
from workbench.mongod import free_port, start_mongod

from ..support.lanes import Lane
from ..support.recount import Document, tickets_of_step_1
from ..support.requests import create
from ..support.servers import at_once, running, wait_until
from ..support.sides import PROJECTOR, both_sides, dashboard, is_exact

HISTORY_LOST = 286
FILLER = 15  # megabytes
BUILT_ANEW = "built anew"


@pytest.fixture
def forgetful(
    mongod: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MongoClient[Document]]:
    """A separate mongod that keeps no more than 40 MB of its log. Step 4 uses it."""
    arguments = ("--oplogSize", "40", "--syncdelay", "1")
    with (
        start_mongod(tmp_path / "data", free_port(), *arguments) as own,
        MongoClient[Document](own.uri, tz_aware=True) as client,
    ):
        monkeypatch.setenv("MONGODB_URI", own.uri)
        monkeypatch.setenv("MONGODB_DATABASE", "support")
        yield client


@pytest.fixture
def tickets(forgetful: MongoClient[Document]) -> Collection[Document]:
    forgetful.support.tickets.insert_many(tickets_of_step_1(30))
    return forgetful.support.tickets


@pytest.fixture
def read_side(forgetful: MongoClient[Document]) -> Database[Document]:
    return forgetful.support_read


def write_elsewhere(client: MongoClient[Document]) -> None:
    client.elsewhere.filler.replace_one({}, {"filler": bytes(FILLER * 1024 * 1024)}, upsert=True)
    client.admin.command("fsync")


def is_forgotten(client: MongoClient[Document], moment: Timestamp) -> bool:
    try:
        client.elsewhere.filler.watch(start_at_operation_time=moment).close()
    except OperationFailure as error:
        assert error.code == HISTORY_LOST
        return True
    return False


def end_of_log(client: MongoClient[Document]) -> Timestamp:
    moment: Timestamp = client.admin.command("ping")["operationTime"]
    return moment


def test_a_position_that_mongodb_has_forgotten_is_met_and_healed_loudly(
    forgetful: MongoClient[Document],
    tickets: Collection[Document],
    read_side: Database[Document],
    tmp_path: Path,
    lane: Lane,
) -> None:
    with running(PROJECTOR):
        wait_until(lambda: dashboard(read_side))
    position = end_of_log(forgetful)
    written = 0
    while written < lane.megabytes or not is_forgotten(forgetful, position):
        write_elsewhere(forgetful)
        written += FILLER

    log = tmp_path / "log"
    with TestClient(both_sides) as http:
        create(http)
        tickets.delete_one({"status": "open"})
        assert not is_exact(http, tickets)
        with running(PROJECTOR, log):
            wait_until(lambda: is_exact(http, tickets))
            create(http)
            assert is_exact(http, tickets)
    assert log.read_text().count("ERROR") == 1
    assert f"'code': {HISTORY_LOST}" in log.read_text()
    assert BUILT_ANEW in log.read_text()


@pytest.mark.timeout(900)
def test_idle_projectors_keep_their_position_from_being_forgotten_and_from_each_other(
    forgetful: MongoClient[Document],
    tickets: Collection[Document],
    read_side: Database[Document],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lane: Lane,
) -> None:
    monkeypatch.setattr(projector, "ROUND", lane.round)

    def has_moved_from(before: object) -> bool:
        return resume() != before

    def resume() -> object:
        [stored] = read_side.dashboard.find({}, ["resume"])
        return stored

    def be_idle() -> None:
        """Wait until MongoDB has forgotten all that is in its log now.

        That takes many rounds. A projector only loses its place if MongoDB writes its whole log
        anew within a round or two.
        """
        start = end_of_log(forgetful)
        written = 0
        while written < lane.megabytes or not is_forgotten(forgetful, start):
            before = resume()
            write_elsewhere(forgetful)
            written += FILLER
            wait_until(partial(has_moved_from, before))
            time.sleep(lane.round)

    @contextmanager
    def three_projectors() -> Iterator[TestClient]:
        with at_once(*(TestClient(app) for _ in range(3))) as (http, _, _):
            yield http

    with three_projectors():
        caplog.clear()  # of the first build; nothing has changed since then
        be_idle()
    with three_projectors() as http:
        create(http)
        assert is_exact(http, tickets)
        be_idle()
    with three_projectors() as http:
        time.sleep(3 * lane.round)
        create(http)
        assert is_exact(http, tickets)
    assert caplog.text == ""
