"""Step 4 taken apart: its processes, and what stands in its two databases."""

from typing import Any

import httpx2
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from step_04_full_cqrs.main import command_routes, create_app, query_routes

from .recount import Document, read_list, recount
from .servers import wait_until

SERVICE = "step_04_full_cqrs.main:app"
COMMAND_SIDE = "step_04_full_cqrs.command_api:app"
QUERY_SIDE = "step_04_full_cqrs.query_api:app"
PROJECTOR = "step_04_full_cqrs.projector"
REBUILD = "step_04_full_cqrs.rebuild"

CLOSE = {"status": "closed", "agent_note": "Sent again"}

both_sides = create_app(command_routes, query_routes)  # and no projector


def dashboard(read_side: Database[Document]) -> Document | None:
    """Return counts and position, without the token, which moves even if nothing happens."""
    return read_side.dashboard.find_one({"_id": "dashboard"}, {"resume": 0})


def wait_until_projected(tickets: Collection[Document], read_side: Database[Document]) -> None:
    """Touch a ticket by hand, and wait until the read side has come to that change."""
    with tickets.database.client.start_session() as session:
        touched = tickets.update_one({}, {"$inc": {"touched": 1}}, session=session)
        assert touched.modified_count == 1
        moment: Any = session.operation_time
    # We read it as a service does, which may see a write a moment later.
    position = read_side.get_collection("dashboard", read_concern=ReadConcern("majority"))
    wait_until(lambda: position.find_one({"at": {"$gte": moment}}))


def is_exact(http: httpx2.Client, tickets: Collection[Document]) -> bool:
    """Tell whether list and dashboard show what a recount finds."""
    truth = recount(tickets)
    counts = http.get("/dashboard").raise_for_status().json()
    return bool(counts == truth["dashboard"] and read_list(http, {}) == truth[str({})])
