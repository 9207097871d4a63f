"""Where the tickets live: in MongoDB, or in memory for a first look."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo_async_mock import AsyncMongoMockClient

Document = dict[str, Any]
Database = AsyncDatabase[Document]

NEWEST_FIRST = [("updated_at", -1), ("_id", -1)]

logger = logging.getLogger("uvicorn.error")  # the one that uvicorn gives a handler


def mongodb_uri() -> str | None:
    """Return where MongoDB is, or None for tickets in memory."""
    return os.environ.get("MONGODB_URI")


def database_name() -> str:
    """Return the name of the database that all steps share."""
    return os.environ.get("MONGODB_DATABASE", "support")


@asynccontextmanager
async def connect(uri: str | None, name: str) -> AsyncIterator[Database]:
    """Open the database `name` at `uri`, or in memory if `uri` is None.

    Nothing is sent yet. Operations raise ConnectionFailure if MongoDB cannot be reached.
    """
    if uri is None:
        logger.warning("MONGODB_URI is not set: tickets are kept in memory, for one worker only")
        yield cast(Database, AsyncMongoMockClient(tz_aware=True)[name])
        return
    # Majority: an acknowledged write survives a failover, and what is read is never rolled back.
    async with AsyncMongoClient[Document](
        uri,
        tz_aware=True,
        w="majority",
        readConcernLevel="majority",
        readPreference="primary",
        serverSelectionTimeoutMS=2000,
        connectTimeoutMS=2000,
        heartbeatFrequencyMS=5000,  # how soon a server that stays silent is noticed
        # A date or text stored by hand may be unreadable in Python. It must not break every read.
        datetime_conversion="DATETIME_AUTO",
        unicode_decode_error_handler="replace",
    ) as client:
        yield client[name]
