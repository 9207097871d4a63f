"""Build the read model anew, while the service is stopped."""

import asyncio
import os

from tqdm import tqdm

from . import projections
from .database import connect, database_name, give_up, without_hurry


async def rebuild() -> None:
    if "MONGODB_URI" not in os.environ:
        give_up("MONGODB_URI is not set: it says which MongoDB holds the tickets")
    async with connect(os.environ["MONGODB_URI"], database_name()) as db:
        with without_hurry(), tqdm(unit=" tickets") as bar:
            await db.dashboard.drop()
            # Not emptied: to insert where much was deleted takes MongoDB many times as long.
            await db.ticket_list.drop()
            await projections.create_indexes(db, db)
            bar.total = await db.tickets.estimated_document_count()
            async for done in projections.build(db):
                bar.update(done - bar.n)


if __name__ == "__main__":
    asyncio.run(rebuild())
