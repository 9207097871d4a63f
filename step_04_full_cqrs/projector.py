"""The projector: follows the change stream of the tickets, and keeps the read side up to date.

MongoDB's own log lies between the two sides. The dashboard document holds the position: `at` is
the moment in the log to which the read side has come, and `resume` is where the stream goes on.
One write moves the counts and the position. So each change counts exactly once, even if several
projectors run or one dies. A row may be written twice. That does no harm: each row has its
moment in the log, and no earlier row replaces it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from bson import Timestamp, decode_all
from pymongo.errors import OperationFailure

from .connections import cluster_time, connect_both
from .database import Database, Document, logger
from .projections import counted, row_write
from .rebuild import build

BATCH = 500  # changes
ROUND = 5.0  # seconds
REST = 0.2  # seconds
# The log no longer tells what came after the position: a pre-image is gone (47 and 51770), or
# CappedPositionLost (136), ChangeStreamFatalError (280), ChangeStreamHistoryLost (286).
LOG_LOST = (47, 136, 280, 286, 51770)


@asynccontextmanager
async def projecting(write_db: Database, read_db: Database) -> AsyncIterator[None]:
    """Bring the read side up to the tickets, and keep it there until the block ends."""
    now = await cluster_time(write_db)
    while not await follow(write_db, read_db, until=now):
        pass
    task = asyncio.create_task(run(write_db, read_db))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def run(write_db: Database, read_db: Database) -> None:
    """Project until cancelled. No error ends it: all that matters is stored in MongoDB."""
    failing = False
    while True:
        try:
            await follow(write_db, read_db)
            failing = False
        except Exception:
            if not failing:  # an outage is logged once, not at each try
                logger.exception("Projecting failed. It is tried again until it works")
            failing = True
            await asyncio.sleep(REST)


async def follow(write_db: Database, read_db: Database, until: Timestamp | None = None) -> bool:
    """Project from the position on for ROUND seconds, or until another projector is faster.

    Build the read side if it is missing, or if the log does not reach back to the position.
    Return True as soon as the read side has come to `until`, else False.
    """
    # A dashboard without a position counts as missing.
    position = await read_db.dashboard.find_one(
        {"_id": "dashboard", "at": {"$ne": None}}, ["at", "resume"]
    )
    # The rows have 5 indexes: four for the list, and that of `_id`. A build creates the last of
    # them when it ends, and a collection that is dropped loses them all.
    if position is None or len(await read_db.ticket_reads.index_information()) < 5:
        await build(write_db, read_db, expected=position or {"_id": "dashboard", "at": None})
        logger.warning("The read side was missing, and has been built anew")
        return False
    clock = asyncio.get_running_loop().time
    end = clock() + ROUND
    try:
        async with aclosing(changes_after(position, write_db)) as batches:
            async for changes in batches:
                if until and (position["at"] >= until or not changes):
                    return True  # an empty batch is the end of the log
                if changes:
                    await put_rows(read_db, changes)
                    if not await advance(changes, read_db, position):
                        await asyncio.sleep(REST)  # the faster one goes on meanwhile
                        return False
                if clock() > end:
                    break
        await advance_idle(write_db, read_db, position)
    except OperationFailure as error:
        if error.code not in LOG_LOST:
            raise
        if await read_db.dashboard.find_one(position):  # else another projector has moved it on
            logger.error("The read side cannot catch up, and is built anew: %s", error)
            await build(write_db, read_db, expected=position)
    return False


async def changes_after(position: Document, write_db: Database) -> AsyncGenerator[list[Document]]:
    """Yield the changes of tickets in batches. If none comes for 0.1 s, the batch is empty.

    A change has the ticket before and after it. Raises OperationFailure if the log does not go
    on from the position.
    """
    images = {"fullDocument": "required", "fullDocumentBeforeChange": "required"}
    needed = ["operationType", "clusterTime", "documentKey", "fullDocument"]
    # `watch` gives changes one by one. We take them in batches, to write many at once.
    stream: Any = await write_db.tickets.aggregate_raw_batches(
        [
            {"$changeStream": position["resume"] | images},
            {"$project": dict.fromkeys([*needed, "fullDocumentBeforeChange.status"], 1)},
        ],
        batchSize=BATCH,
        maxAwaitTimeMS=100,
    )
    async with stream:
        while stream.alive:
            batch = await stream.try_next()
            changes = decode_all(batch, write_db.codec_options) if batch else []
            for change in changes:
                if change["operationType"] not in ("insert", "update", "replace", "delete"):
                    raise OperationFailure("The tickets were dropped or renamed", LOG_LOST[0])
            yield changes


async def put_rows(read_db: Database, changes: list[Document]) -> None:
    """Write the rows of the changed tickets, in the order of the changes."""
    await read_db.ticket_reads.bulk_write(
        [
            row_write(each["documentKey"]["_id"], each.get("fullDocument"), each["clusterTime"])
            for each in changes
        ]
    )


async def advance(changes: list[Document], read_db: Database, position: Document) -> bool:
    """Count the changes and move the position behind them. Return False if another was faster."""
    counts: Counter[str] = Counter()
    for change in changes:
        counts.subtract(counted(change.get("fullDocumentBeforeChange")))
        counts.update(counted(change.get("fullDocument")))
    end = {"at": changes[-1]["clusterTime"], "resume": {"resumeAfter": changes[-1]["_id"]}}
    # The filter is the old position: of several projectors, only one can move it from there.
    moved = await read_db.dashboard.update_one(position, {"$inc": counts, "$set": end})
    position.update(end)
    return moved.matched_count == 1


async def advance_idle(write_db: Database, read_db: Database, position: Document) -> None:
    """Let the position resume at the end of the log, since MongoDB forgets the beginning.

    `at` stays, because no ticket has changed.
    """
    pipeline = [{"$changeStream": position["resume"]}]
    reply = await write_db.command("aggregate", "tickets", pipeline=pipeline, cursor={})
    await write_db.command("killCursors", "tickets", cursors=[reply["cursor"]["id"]])
    if not reply["cursor"]["firstBatch"]:
        resume = {"resumeAfter": reply["cursor"]["postBatchResumeToken"]}
        await read_db.dashboard.update_one(position, {"$set": {"resume": resume}})


async def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    async with connect_both() as (write_db, read_db):
        await cluster_time(write_db)
        await read_db.command("ping")
        await run(write_db, read_db)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
