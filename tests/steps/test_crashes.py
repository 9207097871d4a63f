"""Step 4 dies before and after each write, and at random. The next projector finishes the work."""

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from pymongo.collection import Collection
from pymongo.database import Database

from step_04_full_cqrs.main import app

from ..support.lanes import Lane
from ..support.recount import Document, recount, tickets_of_step_1
from ..support.requests import NEW_TICKET, create
from ..support.servers import run_to_end, running, serve, wait_until
from ..support.sides import (
    CLOSE,
    COMMAND_SIDE,
    PROJECTOR,
    REBUILD,
    SERVICE,
    both_sides,
    dashboard,
    is_exact,
    wait_until_projected,
)

DYING = "tests.support.dying"
DIED = 70

BUILD = [
    "create tickets",
    "collMod tickets",
    "createIndexes ticket_reads",
    "update ticket_reads",
    "update ticket_reads",  # there is more than one page of tickets
    "delete ticket_reads",
    "createIndexes ticket_reads",
    "update dashboard",
]
CHANGES = ["update ticket_reads", "delete ticket_reads", "update dashboard"]


def moments(writes: list[str]) -> list[tuple[str, int, str]]:
    """Every moment at which a crash leaves something different behind."""
    before = [("before", number, write) for number, write in enumerate(writes, start=1)]
    return [*before, ("after", len(writes), writes[-1])]


def die(moment: str, number: int, first: str, *module: str) -> str:
    """Run a module until it dies at this write, and return what it printed."""
    died = run_to_end(DYING, moment, str(number), first, *module)
    assert died.returncode == DIED, died.stdout
    return died.stdout


@pytest.fixture
def service(database: str) -> Iterator[TestClient]:
    """A client of the service, which projects by itself."""
    with TestClient(app) as http:
        yield http


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("method", "path", "body", "write"),
    [
        ("POST", "/tickets", NEW_TICKET, "insert tickets"),
        ("PATCH", "/tickets/{id}", CLOSE, "findAndModify tickets"),
    ],
)
def test_a_command_dies_at_its_write_and_what_it_wrote_is_projected(
    method: str,
    path: str,
    body: Document,
    write: str,
    moment: str,
    tickets: Collection[Document],
    read_side: Database[Document],
    service: TestClient,
) -> None:
    path = path.format(id=create(service)["id"])
    before = recount(tickets)
    with serve(COMMAND_SIDE, through=(DYING, moment, "1", write)) as server:
        with pytest.raises(httpx2.TransportError):
            server.http.request(method, path, json=body)
        assert f"Died {moment} {write}" in server.log.read_text()
    assert (recount(tickets) == before) == (moment == "before")
    wait_until_projected(tickets, read_side)
    assert is_exact(service, tickets)


def change_by_hand(tickets: Collection[Document]) -> None:
    """Insert, update and delete, so that the projector's next batch has one of each."""
    tickets.insert_one(tickets_of_step_1(1)[0])
    tickets.update_one({"status": "open"}, {"$set": CLOSE})
    tickets.delete_one({"status": "triaged"})


def test_a_projector_dies_at_each_write_and_the_next_one_counts_every_change_once(
    tickets: Collection[Document],
) -> None:
    tickets.insert_many(tickets_of_step_1(30))
    with TestClient(app):
        pass
    for moment, number, write in moments(CHANGES):
        change_by_hand(tickets)
        printed = die(moment, number, CHANGES[0], PROJECTOR)
        assert f"Died {moment} {write}" in printed
        with TestClient(app) as http:
            assert is_exact(http, tickets)


def test_a_projector_that_slept_puts_no_older_row_in_the_place_of_a_newer_one(
    tickets: Collection[Document], read_side: Database[Document]
) -> None:
    tickets.insert_many(tickets_of_step_1(3))
    with TestClient(app):
        pass
    pauses = (DYING, "paused", "1", "update ticket_reads")
    with serve(SERVICE, through=pauses) as paused:
        with TestClient(app) as http:
            tickets.update_one({"subject": "Ticket 1"}, {"$set": {"agent_note": "Older"}})
            wait_until(lambda: "Paused before update ticket_reads" in paused.log.read_text())
            tickets.update_one({"subject": "Ticket 1"}, {"$set": CLOSE})
            wait_until(lambda: is_exact(http, tickets))
        os.kill(paused.pid, signal.SIGCONT)
        wait_until_projected(tickets, read_side)  # by the one that slept
        assert is_exact(paused.http, tickets)


def test_rows_that_are_dropped_while_a_build_is_under_way_are_missed(
    tickets: Collection[Document], read_side: Database[Document], tmp_path: Path
) -> None:
    tickets.insert_many(tickets_of_step_1(501))
    log = tmp_path / "log"
    second_page = (DYING, "paused", "2", "update ticket_reads")
    with running(PROJECTOR, log, second_page) as paused:
        wait_until(lambda: "Paused before update ticket_reads" in log.read_text())
        read_side.client.drop_database(read_side)
        paused.send_signal(signal.SIGCONT)
        with TestClient(both_sides) as http:
            wait_until(lambda: is_exact(http, tickets))


def test_a_first_start_dies_at_each_write_and_the_next_one_builds_all(
    tickets: Collection[Document], read_side: Database[Document]
) -> None:
    for moment, number, write in moments(BUILD):
        tickets.insert_many(tickets_of_step_1(501))
        printed = die(moment, number, BUILD[0], PROJECTOR)
        assert f"Died {moment} {write}" in printed
        assert (dashboard(read_side) is None) == (moment == "before")
        change_by_hand(tickets)
        with TestClient(app) as http:
            assert is_exact(http, tickets)
        tickets.drop()
        read_side.client.drop_database(read_side)


def test_a_rebuild_dies_at_each_write_and_until_the_last_has_moved_nothing(
    tickets: Collection[Document], read_side: Database[Document], service: TestClient
) -> None:
    tickets.insert_many(tickets_of_step_1(501))
    wait_until_projected(tickets, read_side)
    position = dashboard(read_side)
    for moment, number, write in moments(BUILD):
        printed = die(moment, number, BUILD[0], REBUILD)
        assert f"Died {moment} {write}" in printed
        assert (dashboard(read_side) == position) == (moment == "before")
        assert is_exact(service, tickets)
    change_by_hand(tickets)
    wait_until_projected(tickets, read_side)
    assert is_exact(service, tickets)


def work_until_killed(acknowledged: list[tuple[str, Document]]) -> None:
    """Let a service take writes, and kill it while it does. Note what it acknowledged."""

    def write(http: httpx2.Client) -> None:
        with suppress(httpx2.TransportError):
            while True:
                path = f"/tickets/{create(http)['id']}"
                acknowledged.append((path, NEW_TICKET))
                http.patch(path, json=CLOSE).raise_for_status()
                acknowledged.append((path, CLOSE))

    enough = len(acknowledged) + random.randint(1, 60)
    with serve(SERVICE, "--workers", "2") as server, ThreadPoolExecutor() as threads:
        writers = [threads.submit(write, server.http) for _ in range(4)]
        try:
            wait_until(lambda: len(acknowledged) >= enough)
        finally:
            os.killpg(server.pid, signal.SIGKILL)
    for writer in writers:
        writer.result()


@pytest.mark.timeout(600)
def test_a_service_that_is_killed_again_and_again_loses_nothing_that_it_acknowledged(
    tickets: Collection[Document], lane: Lane
) -> None:
    acknowledged: list[tuple[str, Document]] = []
    for _ in range(lane.kills):
        work_until_killed(acknowledged)
    with TestClient(app) as http:
        for path, what in acknowledged:
            ticket = http.get(path).json()
            assert ticket == ticket | what
        assert is_exact(http, tickets)


@pytest.mark.timeout(600)
def test_three_projectors_killed_at_random_under_writes_and_rebuilds_count_every_change_once(
    tickets: Collection[Document], read_side: Database[Document], lane: Lane
) -> None:
    tickets.insert_many(tickets_of_step_1(600))

    def write() -> None:
        while not done:
            path = f"/tickets/{create(http)['id']}"
            http.patch(path, json=CLOSE).raise_for_status()

    def delete_and_put_back() -> None:
        while not done:
            ticket = tickets.find_one_and_delete({"status": "triaged"})
            assert ticket
            time.sleep(random.uniform(0, 0.1))
            tickets.insert_one(ticket)

    def rebuild() -> None:
        while not enough_rebuilds:
            assert run_to_end(REBUILD).returncode == 0

    def kill_a_projector() -> None:
        time.sleep(random.uniform(0, 1))
        killed = random.randrange(3)
        projectors[killed].kill()
        projectors[killed] = projectors_running.enter_context(running(PROJECTOR))

    done = enough_rebuilds = False
    with (
        TestClient(both_sides) as http,
        ThreadPoolExecutor() as threads,
        ExitStack() as projectors_running,
    ):
        projectors = [projectors_running.enter_context(running(PROJECTOR)) for _ in range(3)]
        busy = [threads.submit(write) for _ in range(4)]
        busy += [threads.submit(delete_and_put_back), threads.submit(rebuild)]
        try:
            for _ in range(2 * lane.kills):
                kill_a_projector()
            enough_rebuilds = True
            busy.pop().result()
            for _ in range(lane.kills):  # no rebuild mends what is counted twice now
                kill_a_projector()
        finally:
            done = enough_rebuilds = True
        for each in busy:
            each.result()
        assert all(each.poll() is None for each in projectors)
        wait_until_projected(tickets, read_side)
        assert is_exact(http, tickets)
