"""The databases of the two sides: of one MongoDB, or of two."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .database import Database, connect, database_name, give_up, mongodb_uri


@asynccontextmanager
async def connect_both(*, in_memory: bool = False) -> AsyncIterator[tuple[Database, Database]]:
    """Open the database that commands write and the one that queries read.

    Both are `in_memory` where that is allowed and MONGODB_URI is not set.
    """
    if not in_memory and "MONGODB_URI" not in os.environ:
        give_up("MONGODB_URI is not set: it says which MongoDB holds the tickets")
    uri, name = mongodb_uri(), database_name()
    read_uri = os.environ.get("READ_MONGODB_URI", uri)
    read_name = os.environ.get("READ_MONGODB_DATABASE", f"{name}_read")
    if (read_uri, read_name) == (uri, name):
        give_up(f"READ_MONGODB_DATABASE cannot be {name!r} too: the read side needs its own")
    async with connect(uri, name) as write, connect(read_uri, read_name) as read:
        yield write, read
