"""What is measured. There is a function for each kind, and it returns the records."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from random import choice

import httpx2
import psutil
from bson import Timestamp
from pymongo import MongoClient, UpdateOne
from pymongo.collection import Collection
from tqdm import tqdm

from step_01_crud.schemas import ListTickets
from workbench.errors import Refusal

from . import floors
from .data import Document, change_requests, create_requests, fill, request, sample_ids
from .load import RATE, RESPOND_ASYNC, Headers, measure_lag, send
from .services import (
    EXTERNAL,
    FLOOR,
    FLOOR_OF_COMMANDS,
    STEPS,
    Service,
    environment,
    project,
    rebuild,
    rebuilding,
    run,
    serve,
    touch,
    wait_for_position,
    wait_until_projected,
    wait_until_rebuilding,
)

if sys.platform != "win32":  # which uvloop does not support: there, tests only read the names below
    import uvloop

ROUNDS = 3
ROUNDS_OF_COMMANDS = 5  # as these differ more from round to round
ROUNDS_OF_LAG = 10
SECONDS = 2
LAG_SECONDS = 6
LOG = 40_000  # changes
SETTLED = 8  # seconds, after which step 4's position has come to the end of the log

LISTS: dict[str, Document] = {
    "list": {},
    "list, status=open": {"status": "open"},
    "list, has_note=true": {"has_note": True},
    "list, status=open, has_note=true": {"status": "open", "has_note": True},
    "list, skip=1000": {"skip": 1000},
}
QUERIES = [*LISTS, "details", "dashboard"]
COMMANDS = ["create", "patch", "status", "note"]
EMPTY = "empty route"
DURING_REBUILD = "step 4, during a rebuild"

# What is asked and who answers it; and the load, to be called with its seconds.
Loads = dict[tuple[str, str], Callable[[int], Document]]


def store(uri: str, services: Iterable[Service], number: int, shortest: int, longest: int) -> None:
    """Store the same tickets in the database of each service, as step 1 leaves them."""
    with MongoClient[Document](uri) as client:
        first, *others = sorted({service.database for service in services})
        fill(client[first].tickets, number, shortest, longest)
        for other in tqdm(others, desc="Copying them", unit=" databases"):
            client[first].tickets.aggregate([{"$out": {"db": other, "coll": "tickets"}}])


@contextmanager
def serve_all(uri: str, services: Iterable[Service]) -> Iterator[dict[Service, str]]:
    """Serve them all at once, each idle until it is measured; yield their URLs."""
    with ExitStack() as stack:
        bar = tqdm(list(services), desc="Starting all", unit=" services")
        yield {service: stack.enter_context(serve(service, uri))[0] for service in bar}


def measure_starts(uri: str, services: list[Service]) -> Iterator[Document]:
    """Start the steps: on the tickets of step 1 (round 0), and then on what they have built."""
    plan = list(product(range(ROUNDS + 1), services))
    for number, service in tqdm(plan, desc="Starting", unit=" starts"):
        with serve(service, uri) as (_, seconds):
            yield {"who": service.name, "round": number, "seconds": round(seconds, 3)}
            if number == 0:
                time.sleep(SETTLED)


def measure_rebuilds(uri: str, services: list[Service]) -> Iterator[Document]:
    """Rebuild the read models of steps 3 and 4, while nothing else goes on."""
    for service in services[2:]:
        yield {"who": service.name} | rebuild(service, uri)


def take_turns(
    title: str, loads: Loads, rounds: Iterable[int], seconds: int = SECONDS
) -> Iterator[Document]:
    """Apply the loads in turn, round by round. Round 0 only warms up, and yields nothing."""
    plan = list(product(rounds, loads))
    for number, (what, who) in tqdm(plan, desc=title, unit=" runs"):
        result = loads[what, who](seconds if number else 1)
        if number:
            yield {"what": what, "who": who, "round": number} | result


def measure_queries(
    uri: str, services: list[Service], queries: Iterable[str], seconds: int = SECONDS
) -> Iterator[Document]:
    """Measure the queries of the services and, where the floor is one of them, all floors."""
    with MongoClient[Document](uri) as client:
        ids = sample_ids(client[services[-1].database].tickets)
    requests = {
        name: [request("GET", f"/tickets?{httpx2.QueryParams(filters)}")]
        for name, filters in LISTS.items()
    }
    requests["details"] = [request("GET", f"/tickets/{each}") for each in ids]
    requests["dashboard"] = [request("GET", "/dashboard")]
    calls: dict[str, floors.Call] = {
        name: partial(floors.find_rows, query=ListTickets(**filters))
        for name, filters in LISTS.items()
    }
    calls["details"] = lambda db: floors.find_ticket(db, choice(ids))
    calls["dashboard"] = floors.find_counts

    def drive(what: str, seconds: int) -> Document:
        database = FLOOR.database if what == "details" else FLOOR.read_database
        return uvloop.run(floors.drive(uri, database, calls[what], seconds))

    with serve_all(uri, services) as urls:
        loads: Loads = {}
        for what in queries:
            for service, url in urls.items():
                loads[what, service.name] = partial(send, url, requests[what])
            if FLOOR in urls:
                loads[what, "bare driver loop"] = partial(drive, what)
        if FLOOR in urls:
            loads["nothing", EMPTY] = partial(send, urls[FLOOR], [request("GET", "/empty")])
        yield from take_turns("Queries", loads, range(ROUNDS + 1), seconds)


def measure_commands(uri: str, urls: dict[Service, str]) -> Iterator[Document]:
    """Measure each command, in step 4 also how long the projector then takes to catch up."""
    with MongoClient[Document](uri) as client:

        def command(service: Service, headers: Headers, what: str, seconds: int) -> Document:
            tickets = client[service.database].tickets
            requests = create_requests() if what == "create" else change_requests(what, tickets)
            result = send(urls[service], requests, seconds, headers)
            if service in (STEPS[3], EXTERNAL):
                result["caught_up_after"] = wait_until_projected(service, client)
            return result

        inline: Loads = {}
        external: Loads = {}
        for what in COMMANDS:
            for service in [FLOOR_OF_COMMANDS, *STEPS]:
                inline[what, service.name] = partial(command, service, {}, what)
            name = f"{STEPS[3].name}, respond-async"
            inline[what, name] = partial(command, STEPS[3], RESPOND_ASYNC, what)
            external[what, EXTERNAL.name] = partial(command, EXTERNAL, {}, what)
            name = f"{EXTERNAL.name}, respond-async"
            external[what, name] = partial(command, EXTERNAL, RESPOND_ASYNC, what)

        for number in range(ROUNDS_OF_COMMANDS + 1):
            yield from take_turns("Commands", inline, [number])
            # It asks for changes ten times a second: not while others are measured.
            with project(EXTERNAL, client, uri):
                yield from take_turns("Commands, external projector", external, [number])


def measure_lags(uri: str, urls: dict[Service, str]) -> Iterator[Document]:
    """Measure the lag of step 4's projection, with either projector and during a rebuild."""
    with MongoClient[Document](uri) as client:

        def lag(number: int, service: Service) -> Document:
            since = touch(service, client)
            some = client[service.database].tickets.find({}, ["_id"], limit=RATE * LAG_SECONDS)
            ids = [ticket["_id"] for ticket in some]
            reads = service.read_database
            try:
                lags = uvloop.run(measure_lag(urls[service], uri, reads, ids, since))
            except (ExceptionGroup, TimeoutError) as error:
                raise Refusal(f"{service.name} does not keep up with {RATE} a second") from error
            return {"who": service.name, "round": number, "milliseconds": lags}

        for number in tqdm(range(1, ROUNDS_OF_LAG + 1), desc="Lag", unit=" rounds"):
            yield lag(number, STEPS[3])
            with project(EXTERNAL, client, uri):
                yield lag(number, EXTERNAL)
        for number in tqdm(range(1, ROUNDS + 1), desc="Lag during a rebuild", unit=" rounds"):
            before = touch(STEPS[3], client)
            with rebuilding(STEPS[3], uri) as process:
                wait_until_rebuilding(STEPS[3], client, before)
                during = lag(number, STEPS[3])
                if process.poll() is not None:
                    raise Refusal("The rebuild ended before the lag was measured")
            yield during | {"who": DURING_REBUILD}
            wait_until_projected(STEPS[3], client)


def measure_images(uri: str, urls: dict[Service, str]) -> Iterator[Document]:
    """Measure what it costs that MongoDB keeps each ticket as it was before a change."""
    service = STEPS[0]
    with MongoClient[Document](uri) as client:
        tickets = client[service.database].tickets
        images = client.config["system.preimages"]

        def change(enabled: bool, seconds: int) -> Document:
            setting = {"enabled": enabled}
            client[service.database].command(
                "collMod", "tickets", changeStreamPreAndPostImages=setting
            )
            before = stored(images)
            result = send(urls[service], change_requests("patch", tickets), seconds)
            return result | {"image_bytes": stored(images) - before}

        loads: Loads = {
            ("patch", "step 1"): partial(change, False),
            ("patch", "step 1, with pre-images"): partial(change, True),
        }
        yield from take_turns("Pre-images", loads, range(ROUNDS_OF_COMMANDS + 1))


def stored(images: Collection[Document]) -> int:
    """Return how many bytes of pre-images there are, before compression."""
    sums = images.aggregate([{"$collStats": {"storageStats": {}}}])
    return sum(int(each["storageStats"]["size"]) for each in sums)


def measure_projector(uri: str) -> Iterator[Document]:
    """Let one projector, on one core, work through a log that was filled beforehand."""
    with MongoClient[Document](uri) as client:
        tickets = client[EXTERNAL.database].tickets
        ids = [ticket["_id"] for ticket in tickets.find({}, ["_id"], limit=LOG)]
        for number in tqdm(range(1, ROUNDS + 1), desc="Projector", unit=" rounds"):
            note = {"$set": {"agent_note": f"Round {number}"}}
            tickets.bulk_write([UpdateOne({"_id": each}, note) for each in ids])
            last = touch(EXTERNAL, client)
            start = client[EXTERNAL.read_database].dashboard.find_one()
            assert start
            with run("step_04_full_cqrs.projector", **environment(EXTERNAL, uri)) as process:
                if sys.platform != "darwin":  # where no process can be bound to a core
                    psutil.Process(process.pid).cpu_affinity([0])
                # From the first batch on, so that Python's own start does not count.
                later = Timestamp(start["at"].time, start["at"].inc + 1)
                wait_for_position(EXTERNAL, client, later)
                began = time.monotonic()
                wait_for_position(EXTERNAL, client, last)
                seconds = time.monotonic() - began
            yield {"round": number, "changes": len(ids), "seconds": round(seconds, 3)}
