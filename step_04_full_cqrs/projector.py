"""The projector: brings marked tickets to the read side, in batches.

Any number of them may run at once, and each may die anywhere. The dashboard document is
also their log: one write raises its `seq`, moves the counts and stores the rows of the
batch. Whoever comes next puts these rows in place before composing another batch, so no
batch is lost and none counts twice.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import NoReturn, get_args

from bson import ObjectId
from pymongo import UpdateOne, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError

from .connections import connect_both
from .database import Database, Document, without_hurry
from .projections import changed_since, create_indexes, to_row
from .schemas import Status, TicketListItem

logger = logging.getLogger("uvicorn.error")

BATCH = 500
LOG = {"_id": "dashboard"}
STATUSES = get_args(Status)


class Projector:
    def __init__(self, write: Database, read: Database, session: AsyncClientSession | None) -> None:
        self._write = write
        self._read = read
        self._session = session
        self._finished: int | None = None  # the batch whose rows are known to be in place
        self._wake = asyncio.Event()
        self._next_pass = asyncio.Event()

    async def catch_up(self) -> None:
        """Bring the read side up to what other steps wrote; build it where there is none."""
        await create_indexes(self._write, self._read)
        mark = {"unprojected": True}
        await self._write.tickets.create_index("unprojected", partialFilterExpression=mark)
        empty = {"seq": 0, "batch": [], "gen": 0, "rebuild": None} | dict.fromkeys(STATUSES, 0)
        await self._read.dashboard.update_one(LOG, {"$setOnInsert": empty}, upsert=True)
        if await self._read.ticket_list.find_one() is None:
            async for done in self.rebuild():
                logger.info("Building the read model: %d tickets", done)
            return
        behind = await self._write.tickets.update_many(
            await changed_since(self._read), {"$inc": {"version": 1}, "$set": mark}
        )
        logger.info("Catching up with %d tickets", behind.modified_count)
        while not await self.project():
            pass

    async def rebuild(self) -> AsyncIterator[int]:
        """Build the read model anew while all else goes on; yield the number of tickets done.

        Where a rebuild is under way already, this one joins it.
        """
        start = {"after": ObjectId(bytes(12))} | dict.fromkeys(STATUSES, 0)
        while not (log := await self._read_log())["rebuild"]:
            await self._write_log(log, {"gen": log["gen"] + 1, "batch": [], "rebuild": start})
        while rebuild := (await self._read_log())["rebuild"]:
            yield sum(rebuild[status] for status in STATUSES)
            await self.project()

    async def run(self, idle: float) -> NoReturn:
        """Project whenever woken, and every `idle` seconds, for marks that others left."""
        while True:
            this_pass, self._next_pass = self._next_pass, asyncio.Event()
            self._wake.clear()
            caught_up = False
            while not caught_up:
                try:
                    caught_up = await self.project()
                except Exception:  # Whatever it is: all that there is to know is in MongoDB.
                    logger.exception("Projecting failed, and is tried again")
                    await asyncio.sleep(0.2)
            this_pass.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(idle):
                    await self._wake.wait()

    async def projected(self, ticket: Document) -> None:
        """Wait until the ticket, like all that is marked by now, is on the read side."""
        self._wake.set()
        await self._next_pass.wait()

    async def project(self) -> bool:
        """Make one pass; return False where tickets that were marked before it may still be."""
        log = await self._read_log()
        rebuild = log["rebuild"]
        tickets = self._write.tickets
        marked = await tickets.find({"unprojected": True}, limit=BATCH).to_list()
        scanned: list[Document] = []
        if rebuild:
            ahead = {"_id": {"$gt": rebuild["after"]}}
            scanned = await tickets.find(ahead, sort=[("_id", 1)], limit=BATCH).to_list()
            self._wake.set()
        rows = await self._to_rows([*marked, *scanned], log["gen"])
        which = {"_id": {"$in": list(rows)}}
        found = self._read.ticket_list.find(which, session=self._session)
        stored = {row["_id"]: row async for row in found}
        batch = [
            row for _id, row in rows.items() if _id not in stored or is_newer(row, stored[_id])
        ]
        replaced = [stored[row["_id"]] for row in batch if row["_id"] in stored]

        if batch or rebuild:
            change = moved(log, batch, replaced) | {"batch": batch}
            if rebuild:
                # A row of an older generation has not been counted in this one.
                counts = moved(
                    rebuild, batch, [row for row in replaced if row["gen"] == log["gen"]]
                )
                if scanned:
                    change["rebuild"] = counts | {"after": scanned[-1]["_id"]}
                else:
                    with without_hurry():
                        await self._read.ticket_list.delete_many({"gen": {"$lt": log["gen"]}})
                    change |= counts | {"rebuild": None}
            if not await self._write_log(log, change):
                return False
        elif marked:
            if (
                await self._read.dashboard.find_one({"seq": log["seq"]}, session=self._session)
                is None
            ):
                return False
            await self._unmark(rows.values())
        return len(marked) < BATCH

    async def _read_log(self) -> Document:
        """Return the dashboard document, the rows of its batch in place."""
        log = await self._read.dashboard.find_one(LOG, session=self._session)
        if log is None:
            raise LookupError("There is no dashboard document: start this process again")
        if log["seq"] != self._finished:
            await self._finish(log)
        return log

    async def _write_log(self, log: Document, change: Document) -> bool:
        """Write the next batch, unless another projector was faster, and put its rows in place."""
        change["seq"] = log["seq"] + 1
        result = await self._read.dashboard.update_one(
            LOG | {"seq": log["seq"]}, {"$set": change}, session=self._session
        )
        if result.modified_count:
            await self._finish(change)
        return bool(result.modified_count)

    async def _finish(self, log: Document) -> None:
        """Put the rows of the batch in place, and only then take the marks off its tickets."""
        try:
            await self._put(log["batch"], upsert=True)
        except BulkWriteError as error:
            if any(each["code"] != 11000 for each in error.details["writeErrors"]):
                raise
            # Some rows are there and not older, or were first put in just now by another.
            await self._put(log["batch"], upsert=False)
        await self._unmark(log["batch"])
        self._finished = log["seq"]

    async def _put(self, rows: list[Document], *, upsert: bool) -> None:
        updates = [UpdateOne(older_than(row), {"$set": row}, upsert=upsert) for row in rows]
        if updates:
            await self._read.ticket_list.bulk_write(updates, ordered=False, session=self._session)

    async def _unmark(self, rows: Iterable[Document]) -> None:
        # No majority is waited for: a mark that comes back is only taken off again.
        tickets = self._write.get_collection("tickets", write_concern=WriteConcern(w=1))
        unset = {"$unset": {"unprojected": "", "parked": ""}}
        updates = [UpdateOne({"_id": row["_id"], "version": row["version"]}, unset) for row in rows]
        if updates:
            await tickets.bulk_write(updates, ordered=False)

    async def _to_rows(self, tickets: list[Document], gen: int) -> dict[ObjectId, Document]:
        """Return the row of each ticket; park a ticket that has none, so that the others go on."""
        rows = {}
        for ticket in tickets:
            try:
                row = to_row(ticket) | {"gen": gen}
                TicketListItem.model_validate(row)
                rows[row["_id"]] = row
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                logger.error("Ticket %s is parked: %r", ticket["_id"], error)
                await self._write.tickets.update_one(
                    {"_id": ticket["_id"], "version": ticket.get("version")},
                    {"$set": {"parked": repr(error)}, "$unset": {"unprojected": ""}},
                )
        return rows


def older_than(row: Document) -> Document:
    older_version = {"gen": row["gen"], "version": {"$lt": row["version"]}}
    return {"_id": row["_id"], "$or": [{"gen": {"$lt": row["gen"]}}, older_version]}


def is_newer(row: Document, stored: Document) -> bool:
    return (row["gen"], row["version"]) > (stored["gen"], stored["version"])


def moved(counts: Document, rows: list[Document], replaced: list[Document]) -> Document:
    """Return the counts by status with `rows` in the place of `replaced`."""
    change = Counter(row["status"] for row in rows)
    change.subtract(row["status"] for row in replaced)
    return {status: counts[status] + change[status] for status in STATUSES}


async def row_in_place(read: Database, ticket: Document) -> None:
    """Wait until the ticket has been projected, by whatever process."""
    row = {"_id": ticket["_id"], "version": {"$gte": ticket["version"]}}
    found = None
    while found is None:
        await asyncio.sleep(0.005)
        found = await read.ticket_list.find_one(row, ["_id"])


@asynccontextmanager
async def open_projector(write: Database, read: Database) -> AsyncIterator[Projector]:
    """Open a projector with a session, in which no read is older than what it read or wrote."""
    try:
        session = read.client.start_session()
    except NotImplementedError:  # mongomock has no sessions, and nothing that fails over
        yield Projector(write, read, None)
        return
    async with session:
        yield Projector(write, read, session)


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    async with connect_both() as (write, read), open_projector(write, read) as projector:
        with without_hurry():
            await projector.catch_up()
        await projector.run(idle=0.01)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
