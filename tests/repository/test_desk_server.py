"""What the workbench serves beside a step, for whom, and how it keeps step 4's projector."""

from collections.abc import Iterator

import psutil
import pytest

from ..support.desk import DESK, projector_of, state_of
from ..support.requests import add_note, create, read_dashboard, read_list
from ..support.servers import STEPS, Server, lives, serve, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with serve(DESK, STEP=STEPS[0]) as server:
        yield server


@pytest.fixture
def desk(database: str) -> Iterator[Server]:
    """Step 4, with its projector in a separate process."""
    with serve(DESK, STEP=STEPS[3], PROJECTOR="apart") as server:
        yield server


def test_only_this_machine_by_its_own_name_is_served(in_memory: Server) -> None:
    for host in "localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST":
        assert in_memory.http.get("/tickets", headers={"Host": host}).is_success
    for host in "attacker.example", "127.0.0.1.attacker.example", "localhost.attacker.example:80":
        for path in "/tickets", "/desk", "/desk/state", "/docs":
            assert in_memory.http.get(path, headers={"Host": host}).status_code == 400


def test_the_first_page_is_the_desk(in_memory: Server) -> None:
    assert in_memory.http.get("/").headers["Location"] == "/desk"


def test_the_log_has_what_people_ask_and_not_what_the_page_asks(in_memory: Server) -> None:
    for path in "/desk/state", "/dashboard":
        in_memory.http.get(path).raise_for_status()
    wait_until(lambda: "GET /dashboard" in in_memory.log.read_text())
    assert "/desk/state" not in in_memory.log.read_text()


def test_a_page_elsewhere_cannot_pause_the_projector(desk: Server) -> None:
    # A browser sends this for another page without asking us first: it is not JSON.
    answer = desk.http.put(
        "/desk/projector", content='{"paused": true}', headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 422
    assert state_of(desk)["projector"]["state"] == "running"


def test_while_the_projector_is_paused_commands_answer_and_the_read_side_waits(
    desk: Server,
) -> None:
    ticket = create(desk.http)
    assert state_of(desk)["behind_milliseconds"] == 0
    desk.http.put("/desk/projector", json={"paused": True}).raise_for_status()
    assert state_of(desk)["projector"] == {"state": "paused", "starts": 1}
    create(desk.http)
    add_note(desk.http, ticket, "Called back")
    assert [item["has_note"] for item in read_list(desk.http)] == [False]
    assert read_dashboard(desk.http)["open"] == 1
    behind = state_of(desk)["behind_milliseconds"]
    assert behind > 1000  # two commands have waited for a second each
    written = desk.http.get("/desk/written", params={"id": ticket["id"]}).json()
    assert written["counts"] == {"open": 2, "triaged": 0, "closed": 0}
    assert written["tickets"][ticket["id"]]["has_note"] is True

    desk.http.put("/desk/projector", json={"paused": False}).raise_for_status()
    wait_until(lambda: state_of(desk)["behind_milliseconds"] == 0)
    assert [item["has_note"] for item in read_list(desk.http)] == [True, False]
    assert read_dashboard(desk.http)["open"] == 2


@pytest.mark.parametrize("paused", [False, True])
def test_a_projector_that_dies_is_started_again(desk: Server, paused: bool) -> None:
    desk.http.put("/desk/projector", json={"paused": paused}).raise_for_status()
    projector_of(desk).kill()
    wait_until(lambda: state_of(desk)["projector"] == {"state": "running", "starts": 2})
    create(desk.http)
    assert len(read_list(desk.http)) == 1


def test_a_page_that_knows_projections_of_an_earlier_service_is_told_of_all(desk: Server) -> None:
    for _ in range(3):
        create(desk.http)

    def numbers(after: int) -> list[int]:
        answer = desk.http.get("/desk/state", params={"after": after}).json()
        return [each["number"] for each in answer["projections"]]

    wait_until(lambda: numbers(0) == [1, 2, 3])
    assert numbers(1) == [2, 3]
    assert numbers(3) == []
    assert numbers(40) == [1, 2, 3]


def test_without_ids_what_is_written_is_the_counts(desk: Server) -> None:
    create(desk.http)
    written = desk.http.get("/desk/written").json()
    assert written == {"tickets": {}, "counts": {"open": 1, "triaged": 0, "closed": 0}}


@pytest.mark.parametrize("paused", [False, True])
def test_the_projector_ends_with_the_service(database: str, paused: bool) -> None:
    with serve(DESK, STEP=STEPS[3], PROJECTOR="apart") as desk:
        desk.http.put("/desk/projector", json={"paused": paused}).raise_for_status()
        projector = projector_of(desk)
        psutil.Process(desk.pid).terminate()
        wait_until(lambda: not lives(projector))


def test_the_service_opens_when_the_projector_has_caught_up(database: str) -> None:
    with serve(f"{STEPS[0]}.main:app") as step_1:
        for _ in range(30):
            create(step_1.http)
    with serve(DESK, STEP=STEPS[3], PROJECTOR="apart") as desk:
        assert read_dashboard(desk.http)["open"] == 30


@pytest.mark.parametrize("step", STEPS)
def test_without_a_projector_of_its_own_there_is_nothing_to_pause(step: str, database: str) -> None:
    with serve(DESK, STEP=step) as desk:
        assert state_of(desk)["projector"] is None
        assert desk.http.put("/desk/projector", json={"paused": True}).status_code == 404
        behind = state_of(desk)["behind_milliseconds"]
        assert behind == (0 if step == STEPS[3] else None)
