"""Where the tickets live: in a MongoDB, or in memory for a first look."""

import asyncio
import atexit
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, NoReturn, cast

import pymongo
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo_async_mock import AsyncMongoMockClient

Document = dict[str, Any]
Database = AsyncDatabase[Document]

logger = logging.getLogger("uvicorn.error")  # the one that uvicorn gives a handler


def mongodb_uri() -> str | None:
    """Return MONGODB_URI, or None, announced in the log, where it is not set."""
    uri = os.environ.get("MONGODB_URI")
    if uri is None:
        logger.warning("MONGODB_URI is not set: using an in-memory mongomock database")
    return uri


def database_name() -> str:
    """Return MONGODB_DATABASE, the name of the database that all steps share."""
    return os.environ.get("MONGODB_DATABASE", "support")


@asynccontextmanager
async def connect(uri: str | None, name: str) -> AsyncIterator[Database]:
    """Open the database `name` at `uri`, in memory where `uri` is None; close it at the end.

    Dates come back aware, in UTC. What was acknowledged survives a failover, and what is
    read will not be rolled back. An operation raises PyMongoError within 3 seconds where
    MongoDB is down and within 15 where it stays silent. Ends the process, saying why,
    where MongoDB cannot be reached within 3 seconds.
    """
    if uri is None:
        yield cast(Database, AsyncMongoMockClient(tz_aware=True)[name])
        return
    try:
        client = AsyncMongoClient[Document](
            uri,
            tz_aware=True,
            w="majority",
            readConcernLevel="majority",
            serverSelectionTimeoutMS=2000,
            connectTimeoutMS=2000,
            socketTimeoutMS=8000,
        )
        database = client[name]
        async with asyncio.timeout(3):
            await database.command("ping")
    except (PyMongoError, ValueError, TimeoutError) as error:
        place = uri.rpartition("@")[2]  # without a password
        give_up(f"No MongoDB database {name!r} at {place!r}: {error or 'no answer'}")
    async with client:
        yield database


def without_hurry() -> AbstractContextManager[None]:
    """Give start-up and rebuild, whose work grows with the data, an hour for all they do."""
    return pymongo.timeout(3600)


def give_up(reason: str) -> NoReturn:
    """End the process with `reason` as its last line and exit status not 0."""
    # At exit, since uvicorn logs a traceback and a line of its own when a start fails.
    atexit.register(print, reason, file=sys.stderr)
    raise SystemExit(1) from None
