"""A replica set loses its primary, and gets one again, while clients write to every step."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from workbench.mongod import connect, free_port, run_mongod

from ..support.lanes import Lane
from ..support.recount import Document, read_list, recount, served, tickets_of_step_1
from ..support.requests import NEW_TICKET
from ..support.servers import STEPS, at_once, paused, run_to_end, serve, wait_until

CLOSE = {"status": "closed", "agent_note": "Sent again"}
_, _, STEP_3, STEP_4 = STEPS


class ReplicaSet:
    """Three mongods. You can lose the primary."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._folder = folder
        self._running = running
        ports = [free_port() for _ in range(3)]
        self._processes = {port: self._start(port) for port in ports}
        hosts = [f"127.0.0.1:{port}" for port in ports]
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        settings = {"electionTimeoutMillis": 3000, "heartbeatIntervalMillis": 500}
        config = {"_id": "rs0", "members": members, "settings": settings}
        wait_until(lambda: all(is_up(port) for port in ports))
        with connect(ports[0]) as first:
            first.admin.command("replSetInitiate", config)
        self.uri = f"mongodb://{','.join(hosts)}/?replicaSet=rs0"
        self.client = MongoClient[Document](self.uri, tz_aware=True)
        self.client.admin.command("ping")  # waits for a primary

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        # Otherwise the primary goes on sending to members that are paused. The kernel would keep
        # the data for them.
        fetch = ("--setParameter", "oplogFetcherUsesExhaust=false")
        return self._running.enter_context(run_mongod(self._folder / str(port), port, *fetch))

    @contextmanager
    def primary_alone(self) -> Iterator[int]:
        """Keep the others from following the primary. Yield its port."""
        self.client.admin.command("ping")
        assert self.client.primary
        _, port = self.client.primary
        with paused(*(self._processes[each] for each in self._processes if each != port)):
            time.sleep(0.5)  # the primary gets ahead of them
            yield port

    def kill(self, port: int) -> None:
        self._processes[port].kill()
        self._processes[port].wait()

    def bring_back(self, port: int) -> None:
        self._processes[port] = self._start(port)
        wait_until(lambda: is_up(port))

    def end(self) -> None:
        """Kill all. If we asked them to end, they would wait for one another for a minute."""
        self.client.close()
        for process in self._processes.values():
            process.kill()


def is_up(port: int) -> bool:
    try:
        with connect(port) as client:
            return bool(client.admin.command("ping"))
    except PyMongoError:
        return False


@dataclass
class Service:
    """A step, and the answers that a client got when it created tickets and closed them."""

    step: str
    environment: dict[str, str]
    http: httpx2.Client
    tickets: Collection[Document]
    acknowledged: dict[str, Document] = field(default_factory=dict)
    closed: int = 0

    def write_and_read(self) -> None:
        created = self.http.post("/tickets", json=NEW_TICKET)
        if is_acknowledged(created):
            path = f"/tickets/{created.json()['id']}"
            self.acknowledged[path] = NEW_TICKET
            if is_acknowledged(self.http.patch(path, json=CLOSE)):
                self.acknowledged[path] = CLOSE
                self.closed += 1
        for path in ("/tickets", "/dashboard"):
            is_acknowledged(self.http.get(path))


def is_acknowledged(answer: httpx2.Response) -> bool:
    assert answer.is_success or answer.status_code == 503, answer.text
    return answer.is_success


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[ReplicaSet]:
    with ExitStack() as running:
        replica_set = ReplicaSet(tmp_path, running)
        yield replica_set
        replica_set.end()


@pytest.fixture
def services(
    replica_set: ReplicaSet, mongod: str, mongo: MongoClient[Document]
) -> Iterator[list[Service]]:
    """Each step on the replica set, and step 4 twice more, with only one side on it."""
    environments = [
        *({"MONGODB_URI": replica_set.uri, "MONGODB_DATABASE": step} for step in STEPS),
        {"MONGODB_URI": replica_set.uri, "READ_MONGODB_URI": mongod},
        {"MONGODB_URI": mongod, "READ_MONGODB_URI": replica_set.uri},
    ]
    steps = [*STEPS, STEP_4, STEP_4]
    name = f"test_{uuid4().hex}"
    tickets = []
    for environment in environments:
        environment.setdefault("MONGODB_DATABASE", name)
        client = mongo if environment["MONGODB_URI"] == mongod else replica_set.client
        tickets.append(client[environment["MONGODB_DATABASE"]].tickets)
        tickets[-1].insert_many(tickets_of_step_1(100))
    serving = [
        serve(f"{step}.main:app", port=None, through=(), **environment)
        for step, environment in zip(steps, environments, strict=True)
    ]
    with at_once(*serving) as servers:
        yield [
            Service(step, environment, server.http, collection)
            for step, environment, server, collection in zip(
                steps, environments, servers, tickets, strict=True
            )
        ]
    mongo.drop_database(name)
    mongo.drop_database(f"{name}_read")


@contextmanager
def writing(services: list[Service]) -> Iterator[None]:
    def write(service: Service) -> None:
        while not over:
            service.write_and_read()
            time.sleep(0.1)

    over = False
    with ThreadPoolExecutor(len(services)) as threads:
        writers = [threads.submit(write, service) for service in services]
        try:
            all_go_on(services)
            yield
        finally:
            over = True
            for writer in writers:
                writer.result()


def all_go_on(services: list[Service]) -> None:
    """Wait until each service has closed five tickets more."""
    goals = [(service, service.closed + 5) for service in services]
    wait_until(lambda: all(service.closed >= goal for service, goal in goals))


def assert_nothing_is_lost(services: list[Service]) -> None:
    for service in services:
        for path, what in service.acknowledged.items():
            ticket = service.http.get(path).json()
            assert ticket == ticket | what, service
        if service.step != STEP_3:
            assert_exact(service)
            continue
        # A row may be behind only if its command was answered 503.
        rows = {f"/tickets/{row['id']}": row for row in read_list(service.http, {})}
        for path, what in service.acknowledged.items():
            assert what == NEW_TICKET or rows[path]["status"] == "closed"


def assert_exact(service: Service) -> None:
    """Check that the read side follows by itself."""
    truth = recount(service.tickets)
    wait_until(lambda: served(service.http) == truth)


@contextmanager
def rebuilding(services: list[Service]) -> Iterator[None]:
    """Rebuild the read sides of step 4 during the block. One that fails works when repeated."""

    def rebuild(service: Service) -> int:
        return run_to_end(f"{STEP_4}.rebuild", **service.environment).returncode

    of_step_4 = [service for service in services if service.step == STEP_4]
    with ThreadPoolExecutor(len(of_step_4)) as threads:
        rebuilds: list[Future[int]] = [threads.submit(rebuild, each) for each in of_step_4]
        yield
        for service, interrupted in zip(of_step_4, rebuilds, strict=True):
            assert interrupted.result() == 0 or rebuild(service) == 0


@pytest.mark.timeout(900)
def test_a_failover_shows_as_503_at_most_and_loses_nothing_that_was_acknowledged(
    replica_set: ReplicaSet, services: list[Service], lane: Lane
) -> None:
    for _ in range(lane.failovers):
        with writing(services):
            lose_the_primary(replica_set, services)
            let_the_primary_step_down(replica_set, services)
        assert_nothing_is_lost(services)


def lose_the_primary(replica_set: ReplicaSet, services: list[Service]) -> None:
    with rebuilding(services):
        with replica_set.primary_alone() as lost:
            time.sleep(1)  # the rebuilds begin
            replica_set.kill(lost)
        all_go_on(services)
    replica_set.bring_back(lost)
    all_go_on(services)


def let_the_primary_step_down(replica_set: ReplicaSet, services: list[Service]) -> None:
    """Interrupt writes that wait for the other members. No new primary answers at once."""
    with replica_set.primary_alone() as primary, connect(primary) as member:
        member.admin.command("replSetStepDown", 5, force=True)
        time.sleep(2.5)  # PyMongo waits for 2 seconds
    all_go_on(services)
