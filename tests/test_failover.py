"""A replica set loses its primary, and gets it back, while eight clients write."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from workbench.mongod import connect, run_mongod

from .recount import Document, recount, served
from .requests import NEW_TICKET
from .servers import STEPS, free_port, paused, serve, wait_until

pytestmark = pytest.mark.usefixtures("mongod")  # without one to be had, they are skipped

CLOSE = {"status": "closed", "agent_note": "Sent again"}
CLIENTS = 8


class ReplicaSet:
    """Three mongods, of which the primary can be lost."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._folder = folder
        self._running = running
        ports = [free_port() for _ in range(3)]
        self._processes = {port: self._start(port) for port in ports}
        hosts = [f"127.0.0.1:{port}" for port in ports]
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        settings = {"electionTimeoutMillis": 5000}
        config = {"_id": "rs0", "members": members, "settings": settings}
        wait_until(lambda: all(is_up(port) for port in ports))
        with connect(ports[0]) as first:
            first.admin.command("replSetInitiate", config)
        self.uri = f"mongodb://{','.join(hosts)}/?replicaSet=rs0"
        self.client = MongoClient[Document](self.uri, tz_aware=True)
        self.client.admin.command("ping")  # waits for a primary

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        return self._running.enter_context(run_mongod(self._folder / str(port), port))

    def lose_primary(self) -> int:
        """Kill the primary when it is ahead of the others, and return its port."""
        assert self.client.primary
        _, port = self.client.primary
        others = [self._processes[each] for each in self._processes if each != port]
        with paused(*others):
            time.sleep(0.5)
            self._processes[port].kill()
            self._processes[port].wait()
        return port

    def kill(self) -> None:
        """Kill all, as mongods that are asked to end take leave of one another for a minute."""
        self.client.close()
        for process in self._processes.values():
            process.kill()

    def bring_back(self, port: int) -> None:
        self._processes[port] = self._start(port)
        wait_until(lambda: is_up(port))


def is_up(port: int) -> bool:
    try:
        with connect(port) as client:
            return bool(client.admin.command("ping"))
    except PyMongoError:
        return False


@pytest.fixture
def replica_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplicaSet]:
    with ExitStack() as running:
        replica_set = ReplicaSet(tmp_path, running)
        monkeypatch.setenv("MONGODB_URI", replica_set.uri)
        yield replica_set
        replica_set.kill()


class Clients:
    """What eight clients were told while they created tickets and closed them."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http
        self._closed = Counter[int]()
        self.stopped = False
        self.acknowledged: dict[str, Document] = {}

    def write(self, client: int) -> None:
        while not self.stopped:
            created = self._http.post("/tickets", json=NEW_TICKET)
            if is_acknowledged(created):
                path = created.headers["Location"]
                self.acknowledged[path] = NEW_TICKET
                if is_acknowledged(self._http.patch(path, json=CLOSE)):
                    self.acknowledged[path] = CLOSE
                    self._closed[client] += 1

    def each_goes_on(self) -> None:
        """Wait until each client has closed five tickets more."""
        before = self._closed.copy()
        wait_until(lambda: all(self._closed[each] >= before[each] + 5 for each in range(CLIENTS)))


def is_acknowledged(answer: httpx2.Response) -> bool:
    assert answer.is_success or answer.status_code == 503, answer.text
    return answer.is_success


@contextmanager
def writing(http: httpx2.Client) -> Iterator[Clients]:
    clients = Clients(http)
    with ThreadPoolExecutor(CLIENTS) as threads:
        running = [threads.submit(clients.write, client) for client in range(CLIENTS)]
        try:
            yield clients
        finally:
            clients.stopped = True
    for client in running:
        client.result()


def live_through_a_failover(http: httpx2.Client, replica_set: ReplicaSet) -> dict[str, Document]:
    """Lose the primary and bring it back, under writes; return what was acknowledged."""
    with writing(http) as clients:
        clients.each_goes_on()
        lost = replica_set.lose_primary()
        clients.each_goes_on()
        replica_set.bring_back(lost)
        clients.each_goes_on()
    return clients.acknowledged


def test_a_failover_shows_as_503_at_most_and_loses_nothing_that_was_acknowledged(
    step: str, replica_set: ReplicaSet
) -> None:
    with serve(f"{step}.main:app") as server:
        acknowledged = live_through_a_failover(server.http, replica_set)
        for path, what in acknowledged.items():
            ticket = server.http.get(path).json()
            assert ticket == ticket | what


def test_the_read_side_of_step_4_follows_by_itself_after_a_failover(
    replica_set: ReplicaSet,
) -> None:
    with serve(f"{STEPS[3]}.main:app", "--workers", "2") as server:
        live_through_a_failover(server.http, replica_set)
        tickets = replica_set.client.support.tickets
        wait_until(lambda: tickets.find_one({"unprojected": True}) is None)
        assert served(server.http) == recount(tickets)
