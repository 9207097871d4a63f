"""The projector: brings marked tickets to the read side, in batches.

Any number of them may run at once, and each may die anywhere. The dashboard document is
also their log: one write raises its `seq`, moves the counts and stores the rows of the
batch. Whoever comes next puts these rows in place before composing another batch, so no
batch is lost and none counts twice.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import get_args

import pymongo
from bson import ObjectId
from pymongo import InsertOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, PyMongoError

from .connections import connect_both
from .database import Database, Document, without_hurry
from .projections import changed_since, create_indexes, to_row
from .schemas import Status, TicketListItem

logger = logging.getLogger("uvicorn.error")

BATCH = 500
LOG = {"_id": "dashboard"}
STATUSES = get_args(Status)
NOTHING: Document = {"new": [], "newer": []}


class Projector:
    def __init__(self, write: Database, read: Database, session: AsyncClientSession | None) -> None:
        self._write = write
        self._read = read
        self._session = session
        self._log: Document | None = None  # as it is, unless another projector has changed it
        self._finished: int | None = None  # the batch whose rows are known to be in place
        self._projected: list[Document] = []  # rows in place, until their tickets carry no mark
        self._wake = asyncio.Event()
        self._next_pass = asyncio.Event()

    async def catch_up(self) -> None:
        """Bring the read side up to what other steps wrote; build it where there is none."""
        await self._prepare()
        which = await changed_since(self._read)
        if which:
            # A row only gives way to a newer version, and steps 1 and 2 raise none.
            raised = {"$inc": {"version": 1}, "$set": {"unprojected": True}}
            behind = await self._write.tickets.update_many(which, raised)
            logger.info("Catching up with %d tickets", behind.modified_count)
        if not which or (await self._read_log())["rebuild"]:
            async for done in self.rebuild():
                logger.info("Building the read model: %d tickets", done)
        while not await self.project():
            await self.unmark()

    async def rebuild(self) -> AsyncIterator[int]:
        """Build the read model anew while all else goes on; yield the number of tickets done.

        Where a rebuild is under way already, this one joins it.
        """
        await self._prepare()
        while not (log := await self._read_log())["rebuild"]:
            change = {"gen": log["gen"] + 1, "batch": NOTHING, "rebuild": new_rebuild()}
            await self._write_log(log, change)
        while rebuild := log["rebuild"]:
            yield sum(rebuild[status] for status in STATUSES)
            await self.project()
            await self.unmark()
            log = await self._read_log()
        yield sum(log[status] for status in STATUSES)

    async def _prepare(self) -> None:
        """Create what is not there: the indexes, and a log that says that all is to be built."""
        await create_indexes(self._write, self._read)
        await self._write.tickets.create_index(
            "unprojected", partialFilterExpression={"unprojected": True}
        )
        await self._read.dashboard.update_one(LOG, {"$setOnInsert": new_log()}, upsert=True)

    async def run(self, idle: float) -> None:
        """Project until cancelled: whenever woken, and after `idle` seconds, for others' marks."""
        this_task = asyncio.current_task()
        # In Python 3.11, PyMongo's wait_for() may swallow a cancellation (python/cpython#86296).
        while this_task and not this_task.cancelling():
            this_pass, self._next_pass = self._next_pass, asyncio.Event()
            self._wake.clear()
            while not await self._try_to_project() and not this_task.cancelling():
                pass
            this_pass.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(idle):
                    await self._wake.wait()

    async def projected(self, _ticket: Document, patience: float) -> None:
        """Wait, `patience` seconds at most, until all that is marked by now is projected."""
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._next_pass.wait()

    async def _try_to_project(self) -> bool:
        try:
            # Beside the pass, since commands wait for that.
            unmarking = asyncio.create_task(self.unmark())
            try:
                done = await self.project()
            finally:
                await unmarking  # not cancelled, which PyMongo would take seconds to get over
        except Exception:  # Whatever it is: all that there is to know is in MongoDB.
            logger.exception("Projecting failed, and is tried again")
            await asyncio.sleep(0.2)
            return False
        if self._projected:
            self._wake.set()  # for another pass, beside which their marks come off
        return done

    async def project(self) -> bool:
        """Make one pass; return False where tickets that were marked before it may still be."""
        log = await self._read_log()
        in_place = {(row["_id"], row["version"]) for row in self._projected}
        limit = BATCH + len(in_place)  # as these may still be marked
        found = await self._write.tickets.find({"unprojected": True}, limit=limit).to_list()
        marked = await self._to_rows(found, log["gen"])
        scanned = await self._scan(log["rebuild"]) if log["rebuild"] else []
        rows = marked | await self._to_rows(scanned, log["gen"])
        stored_rows = self._read.ticket_list.find({"_id": {"$in": [*rows]}}, session=self._session)
        stored = {row["_id"]: row for row in await stored_rows.to_list()}
        new = [row for key, row in rows.items() if key not in stored]
        newer = [row for key, row in rows.items() if key in stored and is_newer(row, stored[key])]
        batch = [*new, *newer]
        replaced = [stored[row["_id"]] for row in newer]

        if batch or log["rebuild"]:
            change = {"batch": {"new": new, "newer": newer}} | moved(log, batch, replaced)
            if log["rebuild"]:
                change |= await self._rebuild_further(log, scanned, batch, replaced)
            if not await self._write_log(log, change):
                return False
            self._projected += [row for row in batch if row["_id"] in marked]
        elif any((row["_id"], row["version"]) not in in_place for row in marked.values()):
            # All have been projected, and only the marks are left, unless the log says otherwise.
            self._log = None
            if (await self._read_log())["seq"] != log["seq"]:
                return False
            self._projected += marked.values()
        else:
            self._log = None  # so that the next pass sees what others began
        return len(found) < limit

    async def _scan(self, rebuild: Document) -> list[Document]:
        """Return the next tickets of a rebuild, marked or not."""
        self._wake.set()  # for the pass after this one
        ahead = {"_id": {"$gt": rebuild["after"]}}
        return await self._write.tickets.find(ahead, sort=[("_id", 1)], limit=BATCH).to_list()

    async def _rebuild_further(
        self,
        log: Document,
        scanned: list[Document],
        batch: list[Document],
        replaced: list[Document],
    ) -> Document:
        """Return what changes in the log as these tickets are rebuilt, or as none are left."""
        # Rows of older generations have not been counted in this one.
        recounted = [row for row in replaced if row.get("gen") == log["gen"]]
        counts = moved(log["rebuild"], batch, recounted)
        if scanned:
            return {"rebuild": counts | {"after": scanned[-1]["_id"]}}
        with without_hurry():
            await self._read.ticket_list.delete_many(before(log["gen"]))
        return counts | {"rebuild": None}

    async def _read_log(self) -> Document:
        """Return the dashboard document, without its batch but with the rows of it in place."""
        if self._log is None:
            log = await self._read.dashboard.find_one(LOG, {"batch": 0}, session=self._session)
            if log is None or log["seq"] != self._finished:
                log = await self._read.dashboard.find_one(LOG, session=self._session)
                if log is None:
                    raise LookupError("There is no dashboard document: start this process again")
                await self._finish(log)
                self._projected += [*log["batch"]["new"], *log["batch"]["newer"]]
            self._log = log
        return self._log

    async def _write_log(self, log: Document, change: Document) -> bool:
        """Write the next batch, unless another projector was faster, and put its rows in place."""
        self._log = None
        change["seq"] = log["seq"] + 1
        result = await self._read.dashboard.update_one(
            LOG | {"seq": log["seq"]}, {"$set": change}, session=self._session
        )
        if result.modified_count:
            await self._finish(change)
            self._log = log | change
        return bool(result.modified_count)

    async def _finish(self, log: Document) -> None:
        """Put the rows of the batch in place; only then may the marks come off their tickets."""
        new, newer = log["batch"]["new"], log["batch"]["newer"]
        puts: list[InsertOne[Document] | UpdateOne] = [InsertOne(row) for row in new]
        puts += [UpdateOne(older_than(row), {"$set": row}) for row in newer]
        try:
            if puts:
                await self._read.ticket_list.bulk_write(puts, ordered=False, session=self._session)
        except BulkWriteError as error:
            # A new row that is there already was put there by another projector.
            if any(each["code"] != 11000 for each in error.details["writeErrors"]):
                raise
        self._finished = log["seq"]

    async def unmark(self) -> None:
        """Take the marks off tickets whose rows are in place, but not off newer versions."""
        rows = self._projected.copy()
        unset = {"$unset": {"unprojected": ""}}
        # Steps 1 and 2 write no version, which None matches.
        updates = [
            UpdateOne({"_id": row["_id"], "version": row["version"] or None}, unset) for row in rows
        ]
        if updates:
            await self._write.tickets.bulk_write(updates, ordered=False)
        del self._projected[: len(rows)]

    async def _to_rows(self, tickets: list[Document], gen: int) -> dict[ObjectId, Document]:
        """Return a row for each ticket; park those that have none, so that the others go on."""
        rows = {}
        for ticket in tickets:
            this = {"_id": ticket["_id"], "version": ticket.get("version")}
            try:
                row = to_row(ticket) | {"gen": gen}
                TicketListItem.model_validate(row)
                rows[row["_id"]] = row
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                logger.error("Ticket %s is parked: %r", ticket["_id"], error)
                parked = {"$set": {"parked": repr(error)}, "$unset": {"unprojected": ""}}
                await self._write.tickets.update_one(this, parked)
            else:
                if "parked" in ticket:
                    await self._write.tickets.update_one(this, {"$unset": {"parked": ""}})
        return rows


def new_log() -> Document:
    """Return the log of a read model that is to be built."""
    gen = int(time.time() * 1000)  # newer than any row that is left of a log that was lost
    return {"seq": 0, "batch": NOTHING, "gen": gen, "rebuild": new_rebuild()} | dict.fromkeys(
        STATUSES, 0
    )


def new_rebuild() -> Document:
    """Return how far a rebuild has come that is just beginning."""
    return {"after": ObjectId(bytes(12))} | dict.fromkeys(STATUSES, 0)


def is_newer(row: Document, stored: Document) -> bool:
    """Tell whether the row is to replace the stored one, of which nothing is taken for granted."""
    return (row["gen"], row["version"]) > (stored.get("gen", 0), stored.get("version", 0))


def older_than(row: Document) -> Document:
    """Return a filter for the stored row, if the row is newer."""
    older_version = {"gen": row["gen"], "version": {"$not": {"$gte": row["version"]}}}
    return {"_id": row["_id"], "$or": [before(row["gen"]), older_version]}


def before(gen: int) -> Document:
    """Return a filter for the rows of older generations, or of none."""
    return {"gen": {"$not": {"$gte": gen}}}


def moved(counts: Document, rows: list[Document], replaced: list[Document]) -> Document:
    """Return the counts by status with `rows` in the place of `replaced`."""
    change = Counter(row["status"] for row in rows)
    change.subtract(row["status"] for row in replaced)
    return {status: counts[status] + change[status] for status in STATUSES}


async def row_in_place(read: Database, ticket: Document, patience: float) -> None:
    """Wait, `patience` seconds at most, until the ticket is projected by whatever process."""
    row = {"_id": ticket["_id"], "version": {"$gte": ticket["version"]}}
    deadline = time.monotonic() + patience
    found = None
    with suppress(PyMongoError), pymongo.timeout(patience):
        while found is None and time.monotonic() < deadline:
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
