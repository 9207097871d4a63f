"""The X-ray: what a request makes MongoDB do, as the command monitoring of PyMongo tells it."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from bson import decode_all, encode
from pymongo import monitoring
from pymongo.asynchronous.database import AsyncDatabase
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Document = dict[str, Any]

HEADER = "X-Ray"
FEW = 10  # statements: `explain` takes them one by one
OF_THE_CONNECTION = {
    "$clusterTime",
    "$db",
    "$readPreference",
    "lsid",
    "readConcern",
    "txnNumber",
    "writeConcern",
}


@dataclass
class Command:
    """A command that MongoDB has carried out, and its figures."""

    command: str  # `find`, as MongoDB calls it
    collection: str
    documents_returned: int
    documents_written: int
    bytes_returned: int  # of these documents, as BSON
    milliseconds: float
    statements: list[Document] | None  # those that look something up; None if too many

    def figures(self) -> Document:
        """Return all fields except the statements."""
        return {name: value for name, value in vars(self).items() if name != "statements"}


class Listener(monitoring.CommandListener):
    """Reports each command that reads or writes documents, once MongoDB has carried it out."""

    def __init__(self, tell: Callable[[Command], None]) -> None:
        self._tell = tell
        self._sent: dict[int, Document] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self._sent[event.request_id] = dict(event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        sent = self._sent.pop(event.request_id)
        name = event.command_name
        if name not in ("find", "aggregate", "getMore", "findAndModify", *WRITES):
            return
        reply = dict(event.reply)
        returned, size = measure(reply)
        command = Command(
            command=name,
            collection=sent["collection" if name == "getMore" else name],
            documents_returned=returned,
            documents_written=written(name, reply),
            bytes_returned=size,
            milliseconds=event.duration_micros / 1000,
            statements=statements(name, sent, reply),
        )
        self._tell(command)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._sent.pop(event.request_id)


WRITES = {"insert": "documents", "update": "updates", "delete": "deletes"}


def measure(reply: Document) -> tuple[int, int]:
    """Return how many documents there are in a reply, and their size as BSON."""
    cursor = reply.get("cursor", {})
    documents = cursor.get("firstBatch", cursor.get("nextBatch", []))
    if isinstance(reply.get("value"), dict):  # of findAndModify
        documents = [reply["value"]]
    if documents and isinstance(documents[0], bytes):  # the projector's raw batches
        raw = b"".join(documents)
        return len(decode_all(raw)), len(raw)
    return len(documents), sum(len(encode(document)) for document in documents)


def written(name: str, reply: Document) -> int:
    """Return how many documents a command has stored, changed or deleted."""
    if name == "findAndModify":
        return int(reply["lastErrorObject"]["n"])
    if name == "update":
        return int(reply["nModified"]) + len(reply.get("upserted", []))
    return int(reply["n"]) if name in WRITES else 0


def statements(name: str, sent: Document, reply: Document) -> list[Document] | None:
    """Return the statements of a command for which MongoDB had to look something up."""
    command = {key: value for key, value in sent.items() if key not in OF_THE_CONNECTION}
    if name in ("find", "findAndModify"):
        return [command]
    if name == "aggregate":
        return [] if "$changeStream" in command["pipeline"][0] else [command]
    if name not in ("update", "delete"):
        return []
    each_one = command[WRITES[name]]
    if len(each_one) > FEW:
        return None
    new = {each["index"] for each in reply.get("upserted", [])}  # found nothing to look at
    return [
        {name: command[name], WRITES[name]: [each]}
        for index, each in enumerate(each_one)
        if index not in new
    ]


async def explain(db: AsyncDatabase[Document], command: Command) -> Document:
    """Return the figures of a command, with how many keys and documents MongoDB looked at.

    Both numbers are exact as long as nobody has changed the documents since. They are None if
    there are too many statements.
    """
    if command.statements is None:
        return command.figures() | {"keys_examined": None, "documents_examined": None}
    keys = documents = 0
    for statement in command.statements:
        plan = await db.command("explain", statement, verbosity="executionStats")
        # MongoDB may explain only the first stage of an aggregate. That stage does the looking.
        first = plan["stages"][0]["$cursor"] if "stages" in plan else plan
        keys += first["executionStats"]["totalKeysExamined"]
        documents += first["executionStats"]["totalDocsExamined"]
    return command.figures() | {"keys_examined": keys, "documents_examined": documents}


@dataclass
class Trace:
    """The commands that one request has caused."""

    number: int
    task: asyncio.Task[Any] | None
    commands: list[Command] = field(default_factory=list)


of_request: ContextVar[Trace] = ContextVar("of_request")
traces: deque[Trace] = deque(maxlen=200)


def tell_request(command: Command) -> None:
    """Count a command for the request that is being answered.

    A look-up that serves many requests runs in its own task, and counts for none of them.
    """
    trace = of_request.get(None)
    if trace and trace.task is asyncio.current_task():
        trace.commands.append(command)


class XRay:
    """Numbers each request, in a header of its answer, and keeps what the last ones caused."""

    def __init__(self, app: ASGIApp, own: tuple[str, ...]) -> None:
        self.app = app
        self.own = own  # paths of the workbench's own requests, which are not looked at
        self.number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self.own):
            await self.app(scope, receive, send)
            return
        self.number += 1
        trace = Trace(self.number, asyncio.current_task())
        traces.append(trace)
        of_request.set(trace)

        async def send_with_number(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = str(trace.number)
            await send(message)

        await self.app(scope, receive, send_with_number)
