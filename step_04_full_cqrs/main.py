"""The support desk's tickets, in two sides: commands write to one, the list reads the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request

from . import commands, queries
from .connections import cluster_time, connect_both
from .database import Database, mongodb_uri
from .errors import HANDLERS, RESPONSES
from .projector import projecting
from .read_your_writes import Progress, read_your_writes
from .schemas import Dashboard, TicketDetails, TicketListItem

command_routes = APIRouter()
query_routes = APIRouter()


def create_app(*routers: APIRouter, projects: bool = False) -> FastAPI:
    """Create the app of both sides, or of one. With `projects` it is its own projector."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with connect_both(in_memory=projects) as (write_db, read_db):
            state = {"write_db": write_db, "read_db": read_db, "progress": Progress(read_db)}
            if mongodb_uri() is None:
                yield state
                return
            if command_routes in routers:
                await cluster_time(write_db)
            if query_routes in routers:
                await read_db.command("ping")
            async with projecting(write_db, read_db) if projects else nullcontext():
                yield state

    app = FastAPI(
        title="Support tickets",
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        responses=RESPONSES,
        max_body_size=1024 * 1024,  # bytes; FastAPI answers a longer body with a 413
    )
    for router in routers:
        app.include_router(router)
    return app


async def get_write_db(request: Request) -> Database:
    return cast(Database, request.state.write_db)


async def get_read_db(request: Request) -> Database:
    return cast(Database, request.state.read_db)


# With this scope, the wait for the read side comes before the answer is sent.
CommandDb = Annotated[Database, Depends(read_your_writes, scope="function")]
WriteDb = Annotated[Database, Depends(get_write_db)]
ReadDb = Annotated[Database, Depends(get_read_db)]
TicketId = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]


@command_routes.post("/tickets", status_code=201)
async def create_ticket(body: commands.CreateTicket, db: CommandDb) -> TicketDetails:
    return TicketDetails(**await commands.create_ticket(db, body))


@command_routes.patch("/tickets/{ticket_id}")
async def update_ticket(
    ticket_id: TicketId, body: commands.UpdateTicket, db: CommandDb
) -> TicketDetails:
    return TicketDetails(**await commands.update_ticket(db, ticket_id, body))


@command_routes.post("/tickets/{ticket_id}/status", status_code=204)
async def update_status(ticket_id: TicketId, body: commands.UpdateStatus, db: CommandDb) -> None:
    await commands.update_status(db, ticket_id, body)


@command_routes.post("/tickets/{ticket_id}/agent-note", status_code=204)
async def add_agent_note(ticket_id: TicketId, body: commands.AddAgentNote, db: CommandDb) -> None:
    await commands.add_agent_note(db, ticket_id, body)


@query_routes.get("/tickets/{ticket_id}")
async def get_ticket(ticket_id: TicketId, db: WriteDb) -> TicketDetails:
    return await queries.get_ticket(db, ticket_id)


@query_routes.get("/tickets")
async def list_tickets(
    query: Annotated[queries.ListTickets, Query()], db: ReadDb
) -> list[TicketListItem]:
    return await queries.list_tickets(db, query)


@query_routes.get("/dashboard")
async def get_dashboard(db: ReadDb) -> Dashboard:
    return await queries.get_dashboard(db)


app = create_app(command_routes, query_routes, projects=True)
