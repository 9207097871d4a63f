"""What the workbench serves beside a step, for the tests of its page and of its server."""

import psutil

from .requests import Json
from .servers import Server

DESK = "workbench.desk:app"


def state_of(desk: Server) -> Json:
    answer: Json = desk.http.get("/desk/state").raise_for_status().json()
    return answer


def projector_of(desk: Server) -> psutil.Process:
    """Return the process of the projector that this service has started."""
    children = psutil.Process(desk.pid).children()
    [projector] = [each for each in children if "workbench.projector" in each.cmdline()]
    return projector
