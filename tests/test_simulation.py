"""Thousands of ways in which commands, projectors and rebuilds of step 4 can meet and die."""

import sys
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from step_04_full_cqrs import commands, projector
from step_04_full_cqrs.commands import AddAgentNote, ChangeStatus, CreateTicket, WriteSide
from step_04_full_cqrs.database import Document
from step_04_full_cqrs.errors import ClosedTicketReopened
from step_04_full_cqrs.projections import to_row
from step_04_full_cqrs.projector import STATUSES, Projector

from .lanes import Lane
from .simulation import World, give_way, run_alone

CHANGES: list[ChangeStatus | AddAgentNote] = [
    *map(ChangeStatus, STATUSES),
    AddAgentNote("Called back"),
]
REBUILDING = {"rebuild": {"$ne": None}}


@pytest.mark.parametrize("share", range(10))
def test_whatever_meets_and_dies_the_read_side_ends_as_a_recount(share: int, lane: Lane) -> None:
    for seed in range(share, lane.schedules, 10):
        try:
            live_and_heal(seed)
        except Exception as error:
            again = f"python -m tests.test_simulation {seed}"
            raise AssertionError(f"{error!r}, as this shows again: {again}") from error


def live_and_heal(seed: int) -> None:
    world = World(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projector, "BATCH", 2)
        patch.setattr(commands, "datetime", world)
        run_alone(open_before_the_start(world))
        live(world)
        run_alone(heal(world))
        run_alone(assert_rows_and_counts_are_those_of_the_tickets(world))


async def open_before_the_start(world: World) -> None:
    side = WriteSide(world.tickets, no_wait)
    for _ in range(world.random.randint(0, 3)):
        await commands.create_ticket(side, CreateTicket("c", "s", "m"))
    of_step_4 = {"version": "", "unprojected": ""}
    await world.tickets.update_many({}, {"$unset": of_step_4})


async def no_wait(_ticket: Any) -> None:
    """What Prefer: respond-async asks for."""


def live(world: World) -> None:
    """Let clients, projectors and rebuilds go on together, and some of them die."""
    tickets = world.tickets
    serving = False
    projectors: list[Projector] = []

    async def worker() -> None:
        nonlocal serving
        there = await tickets.distinct("_id")
        projector = Projector(world.write, world.read, None)
        await projector.catch_up()
        assert set(there) <= set(await world.ticket_list.distinct("_id"))
        projectors.append(projector)
        serving = True
        while True:
            before = await tickets.find({"unprojected": True}).to_list()
            if await projector.project():
                await assert_in_place(before)

    async def sweeper() -> None:
        while True:
            await give_way()
            if projectors:
                await world.random.choice(projectors).unmark()

    async def client() -> None:
        while not serving:
            await give_way()
        side = WriteSide(world.write.tickets, no_wait)
        for _ in range(world.random.randint(1, 4)):
            known = await tickets.distinct("_id")
            if not known or world.random.random() < 0.3:
                await commands.create_ticket(side, CreateTicket("c", "s", "m"))
                continue
            with suppress(ClosedTicketReopened):
                change = world.random.choice(CHANGES)
                await commands.change_ticket(side, str(world.random.choice(known)), change)

    async def rebuild() -> None:
        while not serving:
            await give_way()
        async for _ in Projector(world.write, world.read, None).rebuild():
            wrong = {status: world.random.randint(0, 9) for status in STATUSES}
            await world.dashboard.update_one(REBUILDING, {"$set": wrong})

    async def assert_in_place(changed: list[Document]) -> None:
        rows = {row["_id"]: row["version"] for row in await world.ticket_list.find().to_list()}
        for ticket in changed:
            assert rows.get(ticket["_id"], 0) >= ticket["version"]

    async def no_change_is_without_row_and_mark() -> None:
        unmarked = {"version": {"$gte": 1}, "unprojected": {"$exists": False}}
        await assert_in_place(await tickets.find(unmarked).to_list())

    clients = [client, client, *[rebuild] * world.random.randint(0, 2)]
    workers = [sweeper, *[worker] * world.random.randint(2, 3)]
    world.run(clients, workers, deaths=4, always=no_change_is_without_row_and_mark)


async def heal(world: World) -> None:
    projector = Projector(world.write, world.read, None)
    if not await world.dashboard.find_one():  # all clients died before anybody served
        await projector.catch_up()
    at_work = {"unprojected": True}
    while await world.tickets.find_one(at_work) or await world.dashboard.find_one(REBUILDING):
        await projector.project()
        await projector.unmark()


async def assert_rows_and_counts_are_those_of_the_tickets(world: World) -> None:
    stored = await world.tickets.find(sort=[("_id", 1)]).to_list()
    log = await world.dashboard.find_one()
    rows = await world.ticket_list.find(sort=[("_id", 1)]).to_list()
    assert rows == [to_row(ticket) | {"gen": log["gen"]} for ticket in stored]
    recount = Counter(ticket["status"] for ticket in stored)
    assert [log[status] for status in STATUSES] == [recount[status] for status in STATUSES]


if __name__ == "__main__":
    live_and_heal(int(sys.argv[1]))
