"""Thousands of worlds in which commands, projectors and builds of step 4 meet, pause and die.

python -m tests.steps.test_simulation 7 shows what happens in the world of seed 7.
"""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
from pymongo.errors import PyMongoError

from step_04_full_cqrs import commands, database, projector, rebuild
from step_04_full_cqrs.commands import AddAgentNote, CreateTicket, UpdateStatus, UpdateTicket
from step_04_full_cqrs.connections import cluster_time
from step_04_full_cqrs.errors import ClosedTicketReopened, TicketNotFound
from step_04_full_cqrs.projections import STATUSES, to_row

from ..support.lanes import Lane
from .simulated_mongodb import Document, Wrong
from .simulation import Process, World, simulate

SHARES = 10
TROUBLE = (
    "deaths",
    "pauses",
    "network failures",
    "failovers",
    "times the log was lost",
    "compare-and-sets lost",
)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("share", range(SHARES))
def test_after_any_races_and_crashes_the_read_side_is_what_the_log_adds_up_to(
    share: int, lane: Lane, record_property: Callable[[str, object], None]
) -> None:
    happened = Counter[str]()
    for seed in range(share, lane.schedules, SHARES):
        try:
            happened += run_world(seed)
        except (Wrong, Exception) as error:
            again = f"python -m tests.steps.test_simulation {seed}"
            raise AssertionError(f"{error!r}, as this shows again: {again}") from error
    record_property("simulated", dict(happened))  # pytest prints the sums of all shares.
    assert all(happened[each] for each in TROUBLE), happened


def run_world(seed: int, tell: Callable[[str], None] | None = None) -> Counter[str]:
    """Let a world live and come to rest. Return how often each kind of trouble happened."""
    world = World(seed, tell)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projector, "BATCH", 2)
        patch.setattr(projector, "ROUND", 1.0)  # so that pauses last longer
        patch.setattr(rebuild, "BATCH", 2)
        patch.setattr(commands, "datetime", world)
        patch.setattr(database.logger, "handlers", [Log(world)])
        patch.setattr(database.logger, "propagate", False)
        simulate(History(world).run())
    return world.server.happened + Counter(["schedules"])


class Log(logging.Handler):
    """Reads what the steps log. Only errors of MongoDB are part of the simulation."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error and not isinstance(error, PyMongoError):
            raise Wrong(f"The step logged {error!r}") from error
        self.world.tell_of("log", f"{record.getMessage()} {error!r}")


class History:
    """What happens in a world, and what must be true of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.server = world.server
        self.random = world.random
        self.deleted: dict[object, Document] = {}  # tickets as they are in a backup

    async def run(self) -> None:
        self.server.dashboard_written = self.assert_position_holds
        for _ in range(self.random.randint(0, 4)):
            await self.world.run("step 3", self.create)
        projectors = [
            (f"projector {number}", self.random.choice([self.project, self.serve]))
            for number in range(self.random.randint(2, 3))
        ]
        try:
            async with asyncio.timeout(300), asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self.world.keep_running(name, act))
                    for name, act in projectors
                ]
                await self.live()
                self.world.calm_down()
                if self.random.random() < 0.5:
                    running += [tasks.create_task(self.world.keep_running("fresh", self.project))]
                    for _ in projectors:
                        running.pop(0).cancel()
                await self.settle()
                self.assert_exact(but_for=self.deleted)
                await self.world.run("last rebuild", self.rebuild)
                await self.settle()
                self.assert_exact(but_for={})
                for task in running:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        except TimeoutError:
            raise Wrong("The read side does not catch up in five minutes") from None

    async def live(self) -> None:
        """Let commands, rebuilds and trouble go on together, to their ends."""
        clients, rebuilds = self.random.randint(2, 3), self.random.randint(0, 2)
        await asyncio.gather(
            self.trouble(),
            *[self.world.run(f"client {number}", self.command) for number in range(clients)],
            *[self.world.run(f"rebuild {number}", self.rebuild) for number in range(rebuilds)],
        )

    # Processes

    async def project(self, process: Process) -> None:
        """Project as python -m step_04_full_cqrs.projector does, which only ends when it dies."""
        try:
            await projector.run(process.write, process.read)
        except Exception as error:
            raise Wrong(f"A projector has ended: {error!r}") from error
        raise Wrong("A projector has ended")

    async def serve(self, process: Process) -> None:
        """Project as main:app does, which is ready when the read side has caught up."""
        log, before, term = self.server.log, self.server.known, self.server.term
        now = await cluster_time(process.write)
        while not await projector.follow(process.write, process.read, until=now):
            pass
        # A new primary knows less for a moment, and a transaction may be projected in two parts.
        if self.server.term == term and log[before - 1].time < log[before].time:
            self.assert_list_shows(before)
        await self.project(process)

    async def rebuild(self, process: Process) -> None:
        await self.rest()
        await rebuild.build(process.write, process.read)

    async def command(self, process: Process) -> None:
        for _ in range(self.random.randint(1, 6)):
            await self.rest()
            act = self.random.choice(
                [self.create, self.change, self.change, self.change, self.delete, self.put_back]
            )
            with suppress(ClosedTicketReopened, TicketNotFound, PyMongoError):
                await act(process)

    async def create(self, process: Process) -> None:
        command = CreateTicket(customer_id="c", subject="s", message="m")
        await commands.create_ticket(process.write, command)

    async def change(self, process: Process) -> None:
        if not self.tickets:
            return
        db, ticket_id = process.write, str(self.random.choice(list(self.tickets)))
        status, note = self.random.choice(STATUSES), self.random.choice(["", "Called back"])
        match self.random.randrange(3):
            case 0:
                await commands.update_status(db, ticket_id, UpdateStatus(new_status=status))
            case 1:
                await commands.add_agent_note(db, ticket_id, AddAgentNote(note=note))
            case 2:
                both = UpdateTicket(status=status, agent_note=note)
                await commands.update_ticket(db, ticket_id, both)

    async def delete(self, process: Process) -> None:
        if self.tickets:
            ticket_id, ticket = self.random.choice(list(self.tickets.items()))
            self.deleted[ticket_id] = ticket
            await process.write.tickets.delete_one({"_id": ticket_id})

    async def put_back(self, process: Process) -> None:
        """Put a ticket back as it is in a backup, whether it has been deleted or not."""
        if self.deleted:
            ticket = self.random.choice(list(self.deleted.values()))
            if ticket["_id"] in self.tickets:
                await process.write.tickets.replace_one({"_id": ticket["_id"]}, ticket)
            else:
                await process.write.tickets.insert_one(ticket)

    # Trouble

    async def trouble(self) -> None:
        server = self.server
        for _ in range(self.random.randint(0, 5)):
            await self.rest()
            act = self.random.choice(
                [
                    server.forget,
                    server.forget,
                    server.fail_over,
                    self.write_elsewhere,
                    server.close_two,
                    self.drop_dashboard,
                    self.drop_tickets,
                ]
            )
            self.world.tell_of("trouble", act.__name__)
            act()

    def write_elsewhere(self) -> None:
        for _ in range(3):
            self.server.write("other")

    def drop_dashboard(self) -> None:
        self.server.dashboard.documents.clear()

    def drop_tickets(self) -> None:
        if self.random.random() < 0.3:
            self.deleted |= self.tickets
            self.server.drop()

    async def rest(self, longest: float = 1) -> None:
        await asyncio.sleep(self.random.uniform(0, longest))

    # What must be true

    @property
    def tickets(self) -> dict[object, Document]:
        return self.server.log[-1].tickets

    def position(self) -> int:
        """Return how far in the log the read side has come."""
        stored = self.server.dashboard.documents.get("dashboard")
        return self.server.index_of(stored["resume"]) if stored else -1

    async def settle(self) -> None:
        """Wait until no projector does anything, and one has come to the end of the log."""
        while not (
            self.position() >= 0
            and self.server.known == len(self.server.log) - 1
            and all(entry.kind == "other" for entry in self.server.log[self.position() + 1 :])
            and all(process.waits for process in self.world.processes)
        ):
            await self.rest(0.05)

    def assert_position_holds(self) -> None:
        """Compare counts and position, just stored, with what the log adds up to there."""
        stored = self.server.dashboard.documents["dashboard"]
        log, position = self.server.log, self.position()
        assert_same("counts", counts_of(stored), recount(log[position].tickets))
        for index, entry in enumerate(log):
            is_counted, at = index <= position, stored["at"]
            if entry.kind != "other" and (entry.time > at if is_counted else entry.time < at):
                raise Wrong(f"The position at {at} is on the wrong side of {entry}")
        self.assert_list_shows(position)

    def assert_list_shows(self, position: int) -> None:
        """Compare each row with the ticket as it was at this position in the log or later."""
        rows = shown(self.server.ticket_reads.documents)
        for ticket_id in self.server.log[position].tickets:
            later = [entry.tickets.get(ticket_id) for entry in self.server.log[position:]]
            if None not in later:  # It may have no row if it is deleted later.
                expected = [to_row(ticket) for ticket in later if ticket]
                if (row := rows.get(ticket_id)) not in expected:
                    raise Wrong(f"The list shows {row}, which is none of {expected}")

    def assert_exact(self, but_for: dict[object, Document]) -> None:
        """Compare rows and counts with the tickets. Deleted tickets of `but_for` may have a row.

        docs/running-step-4.md says so: a projector that pauses while a ticket is deleted may put
        its row back.
        """
        stored = self.server.dashboard.documents["dashboard"]
        assert_same("counts", counts_of(stored), recount(self.tickets))
        rows = shown(self.server.ticket_reads.documents)
        for ticket_id in [each for each in rows if each in but_for and each not in self.tickets]:
            self.server.happened["rows of deleted tickets put back"] += 1
            del rows[ticket_id]
        expected = {ticket_id: to_row(ticket) for ticket_id, ticket in self.tickets.items()}
        assert_same("rows", rows, expected)


def recount(tickets: dict[object, Document]) -> dict[str, int]:
    counts = Counter(ticket["status"] for ticket in tickets.values())
    return {status: counts[status] for status in STATUSES}


def counts_of(dashboard: Document) -> dict[str, int]:
    return {status: dashboard[status] for status in STATUSES}


def shown(rows: dict[object, Document]) -> dict[object, Document]:
    """Return the rows without `as_of`, which no client sees."""
    return {
        ticket_id: {field: value for field, value in row.items() if field != "as_of"}
        for ticket_id, row in rows.items()
    }


def assert_same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Wrong(f"The {what} are {found}, not {expected}")


if __name__ == "__main__":
    print(dict(run_world(int(sys.argv[1]), tell=print)))
