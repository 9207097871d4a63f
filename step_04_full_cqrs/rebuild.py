"""The read side, built anew while all else goes on: python -m step_04_full_cqrs.rebuild"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bson import Timestamp
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure
from tqdm import tqdm

from .connections import cluster_time, connect_both
from .database import NEWEST_FIRST, Database, Document, logger
from .projections import STATUSES, create_indexes, row_write
from .schemas import Dashboard

BATCH = 500


def log_progress(done: int) -> None:
    if done % 10_000 == 0:
        logger.info("Building the read model: %d tickets so far", done)


async def build(
    write_db: Database,
    read_db: Database,
    tell: Callable[[int], object] = log_progress,
    *,
    expected: Document | None = None,
) -> None:
    """Write the rows of all tickets, and `tell` how many are written. All else may go on meanwhile.

    Counts and position are those of the start, and are stored last. So a build that dies has
    moved neither, and what changed meanwhile is projected after it. If another process has moved
    the position away from `expected`, it stays. Without `expected` it is always replaced.
    """
    await keep_images(write_db)
    counting = await write_db.command(
        "aggregate",
        "tickets",
        pipeline=[
            {"$group": {"_id": "$status", "count": {"$sum": 1}}},
            {"$match": {"$expr": {"$in": ["$_id", STATUSES]}}},
        ],
        cursor={},
        readConcern={"level": "snapshot"},
    )
    start = counting["cursor"]["atClusterTime"]
    counts = {group["_id"]: group["count"] for group in counting["cursor"]["firstBatch"]}
    resume = {"startAtOperationTime": Timestamp(start.time, start.inc + 1)}

    await read_db.ticket_reads.create_indexes([IndexModel(NEWEST_FIRST)])
    done = 0
    tell(done)
    async with write_db.client.start_session() as session:
        session.advance_operation_time(start)  # no ticket is read as it was before the start
        tickets = write_db.tickets.find(session=session)
        while page := await tickets.to_list(BATCH):
            rows = [row_write(ticket["_id"], ticket, start) for ticket in page]
            await read_db.ticket_reads.bulk_write(rows, ordered=False)
            done += len(page)
            tell(done)
    # Older rows are of tickets that are gone.
    await read_db.ticket_reads.delete_many({"as_of": {"$not": {"$gte": start}}})
    if len(await read_db.ticket_reads.index_information()) < 2:
        raise RuntimeError("The rows were dropped while they were built")
    await create_indexes(read_db)
    # If another process has moved the position, the upsert finds no match and its insert fails.
    with suppress(DuplicateKeyError):
        await read_db.dashboard.replace_one(
            expected or {"_id": "dashboard"},
            Dashboard(**counts).model_dump() | {"at": start, "resume": resume},
            upsert=True,
        )


async def keep_images(write_db: Database) -> None:
    """Let MongoDB's log keep each ticket as it was before and after a change."""
    with suppress(OperationFailure):  # as it is there already
        await write_db.create_collection("tickets", check_exists=False)
    try:
        await write_db.command("collMod", "tickets", changeStreamPreAndPostImages={"enabled": True})
    except OperationFailure as error:
        if error.code == 13:
            error.add_note(
                f"Step 4 needs collMod: give this user the role dbAdmin on {write_db.name}"
            )
        raise


async def main() -> None:
    async with connect_both() as (write_db, read_db):
        await cluster_time(write_db)
        await read_db.command("ping")
        with tqdm(total=await write_db.tickets.estimated_document_count(), unit=" tickets") as bar:
            await build(write_db, read_db, tell=lambda done: bar.update(done - bar.n))


if __name__ == "__main__":
    asyncio.run(main())
