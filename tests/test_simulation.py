"""Hundreds of ways in which commands, projectors and rebuilds of step 4 can meet and die."""

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from step_04_full_cqrs import commands, projector
from step_04_full_cqrs.commands import AddAgentNote, ChangeStatus, CreateTicket, WriteSide
from step_04_full_cqrs.errors import ClosedTicketReopened
from step_04_full_cqrs.projections import to_row
from step_04_full_cqrs.projector import STATUSES, Projector

from .simulation import World, give_way, run_alone

CHANGES: list[ChangeStatus | AddAgentNote] = [
    *map(ChangeStatus, STATUSES),
    AddAgentNote("Called back"),
]
SCHEDULES = 300
CHUNK = 100


@pytest.mark.parametrize("first_seed", range(0, SCHEDULES, CHUNK))
def test_whatever_meets_and_dies_the_read_side_ends_as_a_recount(
    first_seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "BATCH", 2)
    for seed in range(first_seed, first_seed + CHUNK):
        assert_heals(seed)


async def no_wait(_ticket: Any) -> None:
    """What Prefer: respond-async asks for."""


def assert_heals(seed: int) -> None:
    world = World(seed)
    tickets = world.tickets
    serving = False

    async def open_before_the_start() -> None:
        now = datetime.now(UTC)
        for _ in range(world.random.randint(0, 3)):
            command = {"customer_id": "c", "subject": "s", "message": "m", "agent_note": None}
            dates = {"created_at": now, "updated_at": now}
            await tickets.insert_one({**command, **dates, "status": "open"})

    async def worker() -> None:
        nonlocal serving
        before = await tickets.distinct("_id")
        projector = Projector(world.write, world.read, None)
        await projector.catch_up()
        assert set(before) <= set(await world.ticket_list.distinct("_id")), f"seed {seed}"
        serving = True
        while True:
            await projector.project()

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
            await world.dashboard.update_one({"rebuild": {"$ne": None}}, {"$set": wrong})

    async def heal() -> None:
        projector = Projector(world.write, world.read, None)
        await projector.catch_up()
        while await tickets.find_one({"unprojected": True}):
            await projector.project()

    async def check() -> None:
        stored = await tickets.find(sort=[("_id", 1)]).to_list()
        log = await world.dashboard.find_one()
        rows = await world.ticket_list.find(sort=[("_id", 1)]).to_list()
        assert rows == [to_row(ticket) | {"gen": log["gen"]} for ticket in stored], f"seed {seed}"
        recount = Counter(ticket["status"] for ticket in stored)
        assert [log[status] for status in STATUSES] == [recount[status] for status in STATUSES], (
            f"seed {seed}"
        )

    run_alone(open_before_the_start())
    rebuilds = [rebuild] * world.random.randint(0, 2)
    world.run([client, client, *rebuilds], [worker] * world.random.randint(2, 3), deaths=4)
    run_alone(heal())
    run_alone(check())
