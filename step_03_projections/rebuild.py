"""The read model, built anew: python -m step_03_projections.rebuild"""

import asyncio
import sys
from collections.abc import Callable

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError
from tqdm import tqdm

from .database import Database, connect, database_name, logger, mongodb_uri
from .projections import create_indexes, not_newer, project_ticket, to_row

BATCH = 500


def log_progress(done: int) -> None:
    if done % 10_000 == 0:
        logger.info("Building the read model: %d tickets so far", done)


async def build(db: Database, tell: Callable[[int], object] = log_progress) -> None:
    """Write the rows of all tickets, and `tell` how many are written. Commands may go on meanwhile.

    The error on a ticket that cannot be shown says which ticket it is.
    """
    done = 0
    tell(done)
    tickets = db.tickets.find()
    while page := await tickets.to_list(BATCH):
        writes = []
        for ticket in page:
            try:
                row = to_row(ticket)
            except Exception as error:
                error.add_note(f"Ticket {ticket['_id']} cannot be shown: mend it or delete it")
                raise
            writes.append(UpdateOne(not_newer(row), {"$set": row}, upsert=True))
        try:
            await db.ticket_reads.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            if error.details["writeConcernErrors"]:
                raise
            for failed in error.details["writeErrors"]:
                await project_ticket(db, page[failed["index"]])
        done += len(page)
        tell(done)
    await create_indexes(db)  # at the end, as each would slow down every write


async def main() -> None:
    if mongodb_uri() is None:
        sys.exit("MONGODB_URI is not set: there is no read model to build anew")
    async with connect(mongodb_uri(), database_name()) as db:
        await db.ticket_reads.drop()
        with tqdm(total=await db.tickets.estimated_document_count(), unit=" tickets") as bar:
            await build(db, tell=lambda done: bar.update(done - bar.n))


if __name__ == "__main__":
    asyncio.run(main())
