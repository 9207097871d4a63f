"""What nothing built on FastAPI and PyMongo can do better than: the database calls alone.

The app has routes of the same shape as the steps', which make the same call and answer with
nothing; `drive` makes the calls with no HTTP around them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import quantiles
from typing import Annotated, Any

from bson import ObjectId
from fastapi import FastAPI, Path, Query, Request, Response

from step_03_projections.database import Database, connect, database_name, mongodb_uri
from step_03_projections.schemas import Status

from .load import CLIENTS

Call = Callable[[Database], Awaitable[Any]]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with connect(mongodb_uri(), database_name()) as database:
        yield {"database": database}


app = FastAPI(lifespan=lifespan)


@app.get("/empty")
async def empty() -> Response:
    return Response()


@app.get("/tickets/{ticket_id}")
async def get_ticket(
    request: Request, ticket_id: Annotated[str, Path(pattern="^[0-9a-f]{24}$")]
) -> Response:
    await find_ticket(request.state.database, ticket_id)
    return Response()


@app.get("/tickets")
async def list_tickets(
    request: Request,
    status: Status | None = None,
    has_note: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    skip: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> Response:
    await find_rows(request.state.database, status, has_note, limit, skip)
    return Response()


@app.get("/dashboard")
async def get_dashboard(request: Request) -> Response:
    await find_counts(request.state.database)
    return Response()


async def find_ticket(db: Database, ticket_id: str) -> Any:
    return await db.tickets.find_one({"_id": ObjectId(ticket_id)})


async def find_rows(
    db: Database,
    status: Status | None = None,
    has_note: bool | None = None,
    limit: int = 20,
    skip: int = 0,
) -> Any:
    filters = {"status": status, "has_note": has_note}
    which = {key: value for key, value in filters.items() if value is not None}
    newest_first = [("updated_at", -1), ("_id", -1)]
    rows = db.ticket_list.find(which, sort=newest_first, skip=skip, limit=limit)
    return await rows.hint([*((each, 1) for each in which), *newest_first]).to_list()


async def find_counts(db: Database) -> Any:
    return await db.dashboard.find_one({}, ["open", "triaged", "closed"])


async def drive(uri: str, database: str, call: Call, seconds: float) -> dict[str, Any]:
    """Make the call again and again, as CLIENTS at once; return what load.lua prints."""
    times: list[float] = []
    async with connect(uri, database) as db, asyncio.TaskGroup() as tasks:
        start = time.monotonic()

        async def client() -> None:
            while (before := time.monotonic()) < start + seconds:
                await call(db)
                times.append(time.monotonic() - before)

        for _ in range(CLIENTS):
            tasks.create_task(client())
    percentiles = quantiles(times, n=100)
    return {
        "per_second": round(len(times) / (time.monotonic() - start), 1),
        "p50_ms": round(percentiles[49] * 1000, 3),
        "p99_ms": round(percentiles[98] * 1000, 3),
        "requests": len(times),
        "errors": 0,
    }
