"""The step that the variable STEP names, and /desk, a page to use it with.

With PROJECTOR=apart, step 4 does not project by itself: its projector is a separate process.
"""

import importlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, cast

from bson import ObjectId
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, StringConstraints
from pymongo import monitoring
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ..xray import Listener, XRay, tell_request, traces
from .projector_process import ProjectorProcess
from .sides import Sides

monitoring.register(Listener(tell_request))  # before the step connects
# The page asks for the state twice a second. The log is for what people ask.
logging.getLogger("uvicorn.access").addFilter(lambda line: "/desk/" not in line.getMessage())

PAGE = Path(__file__).parent / "page"
SITE = Path(__file__).parents[2] / ".site"
STEP = os.environ["STEP"]
NUMBER = int(STEP.removeprefix("step_")[:2])
NAMES = {
    1: ("CRUD", "Every route talks to MongoDB itself."),
    2: ("Split handlers", "Commands and queries have separate files."),
    3: ("Projections", "Each command writes the ticket, and also the row that the list shows."),
    4: ("Full CQRS", "A projector follows MongoDB's log, and writes what the reads show."),
}
DIFF = "1-2" if NUMBER == 1 else f"{NUMBER - 1}-{NUMBER}"

Id = Annotated[str, StringConstraints(pattern="^[0-9a-f]{24}$")]

step: Any = importlib.import_module(f"{STEP}.main")
database: Any = importlib.import_module(f"{STEP}.database")
apart = os.environ.get("PROJECTOR") == "apart"
app: FastAPI = step.create_app(step.command_routes, step.query_routes) if apart else step.app
lifespan_of_the_step = app.router.lifespan_context
routes = APIRouter(include_in_schema=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    projector = ProjectorProcess() if apart else None
    async with AsyncExitStack() as stack:
        sides = await stack.enter_async_context(open_sides()) if in_mongodb() else None
        if projector:
            await stack.enter_async_context(projector.running())
        state: Any = await stack.enter_async_context(lifespan_of_the_step(app))
        yield {**state, "sides": sides, "projector": projector}


def in_mongodb() -> bool:
    return database.mongodb_uri() is not None


@asynccontextmanager
async def open_sides() -> AsyncIterator[Sides]:
    """Connect to the databases of the step, to look at what it does there."""
    if NUMBER == 4:
        connections = importlib.import_module(f"{STEP}.connections")
        async with connections.connect_both() as (write, read):
            yield Sides(write, read)
    else:
        async with database.connect(database.mongodb_uri(), database.database_name()) as db:
            yield Sides(db, None)


async def get_sides(request: Request) -> Sides:
    if request.state.sides is None:
        raise HTTPException(404, "The tickets are in memory. The X-ray needs a MongoDB")
    return cast(Sides, request.state.sides)


async def get_projector(request: Request) -> ProjectorProcess:
    if request.state.projector is None:
        raise HTTPException(404, "There is no projector that can be paused")
    return cast(ProjectorProcess, request.state.projector)


@routes.get("/")
async def get_root() -> RedirectResponse:
    return RedirectResponse("/desk")


@routes.get("/desk")
async def get_desk() -> FileResponse:
    return FileResponse(PAGE / "index.html")


@routes.get("/desk/state")
async def get_state(request: Request, after: int = 0) -> dict[str, Any]:
    """Return which step runs, the state of its read side, and the projections `after` a number.

    If no projection has that number yet, it is from an earlier service. Then all are returned.
    """
    sides: Sides | None = request.state.sides
    projector: ProjectorProcess | None = request.state.projector
    projections = list(projector.projections) if projector else []
    is_ours = any(each.number >= after for each in projections)
    name, idea = NAMES[NUMBER]
    has_diff = SITE.joinpath("diffs", f"{DIFF}.html").exists()
    return {
        "step": NUMBER,
        "name": name,
        "idea": idea,
        "xray": sides is not None,
        "diff": f"/site/diffs/{DIFF}.html" if has_diff else None,
        "projector": projector and {"state": projector.state, "starts": projector.starts},
        "behind_milliseconds": await sides.behind() if sides else None,
        "projections": [
            {"number": each.number, "commands": [command.figures() for command in each.commands]}
            for each in projections
            if each.number > after or not is_ours
        ],
    }


@routes.get("/desk/requests/{number}")
async def get_request(number: int, sides: Annotated[Sides, Depends(get_sides)]) -> dict[str, Any]:
    """Return what one of the last 200 requests made MongoDB do."""
    for trace in traces:
        if trace.number == number:
            return {"number": number, "commands": await sides.explain(trace.commands)}
    raise HTTPException(404, f"Request {number} is forgotten, or was never made")


@routes.get("/desk/projections/{number}")
async def get_projection(
    number: int,
    projector: Annotated[ProjectorProcess, Depends(get_projector)],
    sides: Annotated[Sides, Depends(get_sides)],
) -> dict[str, Any]:
    """Return what one of the last 50 batches of the projector made MongoDB do."""
    for each in projector.projections:
        if each.number == number:
            return {"number": number, "commands": await sides.explain(each.commands)}
    raise HTTPException(404, f"Projection {number} is forgotten, or was never made")


@routes.get("/desk/written")
async def get_written(
    sides: Annotated[Sides, Depends(get_sides)],
    ids: Annotated[list[Id], Query(alias="id", max_length=100, default_factory=list)],
) -> dict[str, Any]:
    """Return what the tickets say, to be compared with what list and dashboard show."""
    return await sides.written([ObjectId(each) for each in ids])


class Pause(BaseModel):
    paused: bool


@routes.put("/desk/projector", status_code=204)
async def put_projector(
    body: Pause, projector: Annotated[ProjectorProcess, Depends(get_projector)]
) -> None:
    """Pause the projector, or let it go on."""
    if body.paused:
        projector.pause()
    else:
        projector.resume()


app.router.lifespan_context = lifespan
app.include_router(routes)
app.mount("/desk/page", StaticFiles(directory=PAGE))
app.mount("/site", StaticFiles(directory=SITE, html=True, check_dir=False))
if in_mongodb():
    app.add_middleware(XRay, own=("/desk", "/site"))
# There is no authentication. A page elsewhere must not reach us by its own host name.
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]"])
