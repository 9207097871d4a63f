"""The databases of the two sides, in one MongoDB or in two."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bson import Timestamp

from .database import Database, connect, database_name, mongodb_uri


@asynccontextmanager
async def connect_both(*, in_memory: bool = False) -> AsyncIterator[tuple[Database, Database]]:
    """Open the database that commands write and the one that queries read.

    Nothing is sent yet. Ends the process with a clear line if the environment is wrong.
    Without a MONGODB_URI both are in memory, which only helps a process that does everything.
    """
    uri, name = mongodb_uri(), database_name()
    read_uri = os.environ.get("READ_MONGODB_URI", uri)
    read_name = os.environ.get("READ_MONGODB_DATABASE", f"{name}_read")
    if uri is None and not (in_memory and read_uri is None):
        sys.exit("MONGODB_URI is not set: say where the MongoDB is that the two sides share")
    if (read_uri, read_name) == (uri, name):
        sys.exit(f"READ_MONGODB_DATABASE must not be {name!r}, where the tickets are")
    async with connect(uri, name) as write_db:
        if read_uri == uri:
            yield write_db, write_db.client[read_name]
            return
        async with connect(read_uri, read_name) as read_db:
            yield write_db, read_db


async def cluster_time(write_db: Database) -> Timestamp:
    """Return how far MongoDB's log has come.

    Ends the process with a clear line if MongoDB keeps no log.
    """
    now: Timestamp | None = (await write_db.command("ping")).get("operationTime")
    if now is None:
        sys.exit(
            "Step 4 follows MongoDB's change stream, which a standalone server does not have. "
            "Start mongod with --replSet rs0, and call rs.initiate() in mongosh once"
        )
    return now
