"""MongoDB in memory, as far as step 4 uses it: the log of the tickets, and the read side.

A `Server` holds the data. Each process has its own handles, which have the methods of PyMongo that
step 4 calls. An operation takes effect at one moment. The process gives way before and after that
moment, so others can do something in between, and the process can die there. A bulk also gives
way between its writes, and a scan between its batches, as on a real server.

test_simulated_mongodb.py compares all this with a real mongod.
"""

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from random import Random
from types import SimpleNamespace
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from bson import ObjectId, Timestamp, decode, encode
from bson.codec_options import CodecOptions
from pymongo import DeleteOne, IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import (
    CursorNotFound,
    DuplicateKeyError,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
)

Document = dict[str, Any]

OPTIONS = CodecOptions[Document](tz_aware=True)


class Wrong(BaseException):
    """The step made a mistake, or called what the simulation does not know.

    The projector survives every Exception, so this is none.
    """


class Process(Protocol):
    """Calls the operations."""

    waits: bool  # True while the process waits at the end of the log

    async def turn(self) -> None: ...

    def tell(self, operation: str, arguments: tuple[Any, ...], result: object) -> None: ...


class Entry(NamedTuple):
    """An entry of the log, and the collection `tickets` after it."""

    time: Timestamp
    tickets: dict[Any, Document]
    kind: str = "other"  # an operationType of change streams, or "other"
    ticket_id: Any = None
    exists: bool = False  # Is there a collection `tickets`?
    images: bool = False  # Does the log keep tickets as they were before and after a change?


class Stored:
    """A collection of the read side."""

    def __init__(self) -> None:
        self.documents: dict[Any, Document] = {}
        self.indexes: set[str] = set()


class Server:
    """The data of both sides. The write side is a replica set, with members that lag behind."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.log = [Entry(Timestamp(1, 1), {})]
        self.oldest = 0  # the first entry that is still there; MongoDB forgets the beginning
        self.committed = 0  # the last entry that most members have
        self.known = 0  # the last one that the primary knows to be committed; reads end here
        self.term = 1  # Each primary has its own term.
        self.ticket_reads = Stored()
        self.dashboard = Stored()
        self.dashboard_written: Callable[[], None] = lambda: None
        self.happened = Counter[str]()
        self._moments = 0

    def write(self, kind: str, same_time: bool = False, **after: Any) -> None:
        """Add an entry to the log."""
        self._moments += not same_time
        time = Timestamp(1 + self._moments // 5, 1 + self._moments % 5)
        self.log.append(self.log[-1]._replace(kind=kind, time=time, **after))

    def change(
        self, kind: str, ticket_id: Any, ticket: Document | None, same_time: bool = False
    ) -> None:
        """Store a ticket, or delete it if it is None."""
        tickets = {**self.log[-1].tickets}
        if ticket is None:
            del tickets[ticket_id]
        else:
            tickets[ticket_id] = copied(ticket)
        self.write(kind, same_time, ticket_id=ticket_id, tickets=tickets, exists=True)

    def close_two(self) -> None:
        """Close two tickets by a transaction, which gives both changes one cluster time."""
        still_open = {"status": {"$ne": "closed"}}
        tickets = [each for each in self.log[-1].tickets.values() if matches(each, still_open)]
        for number, ticket in enumerate(tickets[:2]):
            closed = ticket | {"status": "closed"}
            self.change("update", ticket["_id"], closed, same_time=number > 0)

    def drop(self) -> None:
        if self.log[-1].exists:
            self.write("drop", tickets={}, exists=False, images=False)

    def replicate(self, to_the_end: bool = False) -> None:
        """Let the other members fetch some of the log, and the primary hear of it."""
        end = len(self.log) - 1
        if self.known < end:
            self.committed = end if to_the_end else self._between(self.committed, end)
            self.known = end if to_the_end else self._between(self.known, self.committed)

    def fail_over(self) -> None:
        """Make another member the primary. It may not know yet how much most members have.

        Entries that most members do not have are lost.
        """
        del self.log[self._between(self.committed, len(self.log) - 1) + 1 :]
        self.known = self._between(self.oldest, self.known)
        self.term += 1
        self.happened["failovers"] += 1

    def _between(self, first: int, last: int) -> int:
        """Choose an entry, but none within a transaction."""
        index = self.random.randint(first, last)
        while index < last and self.log[index].time == self.log[index + 1].time:
            index += 1
        return index

    def forget(self) -> None:
        """Lose the beginning of the log."""
        self.oldest = self.known

    def index_of(self, resume: Document) -> int:
        """Return the entry after which a change stream begins."""
        match resume:
            case {"resumeAfter": {"_data": token}}:
                return int(token)
            case {"startAtOperationTime": time}:
                return bisect_left(self.log, time, key=lambda entry: entry.time) - 1
        return self.known

    def open(self, resume: Document) -> int:
        """Return the entry after which a change stream begins, if the log still reaches back."""
        index = self.index_of(resume)
        time = resume.get("startAtOperationTime", self.log[max(index, 0)].time)
        if time < self.log[self.oldest].time:
            raise self.history_lost()
        return index

    def history_lost(self) -> OperationFailure:
        self.happened["times the log was lost"] += 1
        return OperationFailure("Resume of change stream was not possible", 286)

    def events(self, index: int, limit: int, *, images: bool = False) -> tuple[list[Document], int]:
        """Return the events after an entry, and the entry up to which they go."""
        events: list[Document] = []
        while index < self.known and len(events) < limit:
            index += 1
            if self.log[index].kind != "other":
                events.append(self._event(index, images))
            if self.log[index].kind == "drop":
                return [*events, {"_id": token(index), "operationType": "invalidate"}], index
        return events, index

    def _event(self, index: int, images: bool) -> Document:
        before, entry = self.log[index - 1], self.log[index]
        event = {"_id": token(index), "operationType": entry.kind, "clusterTime": entry.time}
        if entry.kind != "drop":
            event["documentKey"] = {"_id": entry.ticket_id}
        if entry.kind in ("insert", "update", "replace"):
            event["fullDocument"] = entry.tickets[entry.ticket_id]
        if entry.kind in ("update", "replace", "delete") and images:
            if not entry.images:
                raise OperationFailure("The pre-image was not found", 47)
            event["fullDocumentBeforeChange"] = before.tickets[entry.ticket_id]
        return event


def token(index: int) -> Document:
    return {"_data": f"{index:08}"}


def copied(document: Document) -> Document:
    """Return a document as it comes back from a server: MongoDB stores milliseconds."""
    return decode(encode(document), OPTIONS)


# Queries, updates and projections


def matches(document: Document, query: Document) -> bool:
    return all(holds(document.get(field), condition) for field, condition in query.items())


def holds(value: Any, condition: Any) -> bool:
    match condition:
        case {"$ne": other}:
            return bool(value != other)
        case {"$not": other}:
            return not holds(value, other)
        case {"$gt": other}:
            return value is not None and bool(value > other)
        case {"$gte": other}:
            return value is not None and bool(value >= other)
        case {"$lte": other}:
            return value is not None and bool(value <= other)
    return bool(value == condition)


def updated(document: Document, update: Any) -> Document:
    """Return a document after an update by operators or by a pipeline."""
    document = copied(document)
    match update:
        case [{"$replaceWith": expression}]:
            return copied(evaluated(expression, document))
        case dict():
            for operator, fields in update.items():
                for field, value in fields.items():
                    document[field] = OPERATORS[operator](document.get(field), value)
            return copied(document)
    raise NotImplementedError(update)


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "$set": lambda _, value: value,
    "$inc": lambda stored, value: (stored or 0) + value,
    "$max": lambda stored, value: value if stored is None else max(stored, value),
}


def evaluated(expression: Any, document: Document) -> Any:
    match expression:
        case {"$cond": [condition, yes, no]}:
            return evaluated(yes if evaluated(condition, document) else no, document)
        case {"$gt": [left, right]}:
            value = evaluated(left, document)
            return value is not None and value > evaluated(right, document)
        case {"$literal": value}:
            return value
        case "$$ROOT":
            return document
        case str() if expression.startswith("$"):
            return document.get(expression[1:])
        case Timestamp():
            return expression
    raise NotImplementedError(expression)


def projected(document: Document, fields: Document) -> Document:
    """Return these fields of a document, as `$project` does. "a.b" is the field b of a."""
    result = {"_id": document["_id"]}
    for field in fields:
        name, _, inner = field.partition(".")
        if name in document:
            whole = document[name]
            result[name] = {key: whole[key] for key in [inner] if key in whole} if inner else whole
    return result


# Operations

P = ParamSpec("P")
R = TypeVar("R")


class Handle:
    """A database or a collection, as one process sees it."""

    def __init__(self, server: Server, process: Process) -> None:
        self.server = server
        self.process = process

    async def turn(self) -> None:
        await self.process.turn()


class WriteHandle(Handle):
    async def majority(self) -> None:
        """Wait until the primary knows that most members have all of the log."""
        end, term = len(self.server.log) - 1, self.server.term
        while self.server.known < end:
            await self.turn()
            if self.server.term != term:
                raise NotPrimaryError("Another member has become the primary")


H = TypeVar("H", bound=Handle)


def operation(
    method: Callable[Concatenate[H, P], Awaitable[R]],
) -> Callable[Concatenate[H, P], Coroutine[Any, Any, R]]:
    """Give way before and after an operation takes effect."""

    @wraps(method)
    async def in_turns(self: H, /, *arguments: P.args, **options: P.kwargs) -> R:
        self.process.waits = False
        name = f"{type(self).__name__}.{method.__name__}"
        await self.turn()
        try:
            result = await method(self, *arguments, **options)
        except PyMongoError as error:
            self.process.tell(name, arguments, error)
            await self.turn()
            raise
        except Exception as error:  # The projector would survive our own mistakes, too.
            raise Wrong(f"{name}: {error!r}") from error
        self.process.tell(name, arguments, result)
        await self.turn()
        return result

    return in_turns


class Session:
    def __init__(self) -> None:
        self.time = Timestamp(0, 0)

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_error: object) -> None:
        pass

    def advance_operation_time(self, time: Timestamp) -> None:
        self.time = max(self.time, time)


class WriteDatabase(WriteHandle):
    name = "support"
    codec_options = OPTIONS
    client = SimpleNamespace(start_session=Session)

    def __init__(self, server: Server, process: Process) -> None:
        super().__init__(server, process)
        self.tickets = Tickets(server, process)

    @operation
    async def create_collection(self, name: str, *, check_exists: bool) -> None:
        assert (name, check_exists) == ("tickets", False)
        if self.server.log[-1].exists:
            raise OperationFailure("Collection tickets already exists", 48)
        self.server.write("other", exists=True)
        await self.majority()

    @operation
    async def command(self, command: str, collection: str = "", /, **options: Any) -> Document:
        server = self.server
        match command, options:
            case "ping", {}:
                return {"ok": 1.0, "operationTime": server.log[-1].time}
            case "collMod", {"changeStreamPreAndPostImages": {"enabled": images}}:
                if not server.log[-1].exists:
                    raise OperationFailure("ns does not exist", 26)
                server.write("other", images=images)
                await self.majority()
                return {"ok": 1.0}
            case (
                "aggregate",
                {
                    "pipeline": [
                        {"$group": {"_id": "$status", "count": {"$sum": 1}}},
                        {"$match": {"$expr": {"$in": ["$_id", statuses]}}},
                    ],
                    "readConcern": {"level": "snapshot"},
                },
            ):
                now = server.log[server.known]
                counts = Counter(ticket.get("status") for ticket in now.tickets.values())
                groups = [
                    {"_id": status, "count": counts[status]}
                    for status in statuses
                    if counts[status]
                ]
                return {"cursor": {"firstBatch": groups, "atClusterTime": now.time}, "ok": 1.0}
            case "aggregate", {"pipeline": [{"$changeStream": stage}]}:
                batch, index = server.events(server.open(stage), limit=101)
                cursor = {"id": 1, "firstBatch": batch, "postBatchResumeToken": token(index)}
                return {"cursor": cursor, "ok": 1.0}
            case "killCursors", {}:
                return {"ok": 1.0}
        raise NotImplementedError(command, options)


class Tickets(WriteHandle):
    """Writes see the last entry of the log. Reads see what the primary knows to be committed."""

    def _find(self, index: int, query: Document) -> Document | None:
        ticket = self.server.log[index].tickets.get(query["_id"])
        return copied(ticket) if ticket and matches(ticket, query) else None

    @operation
    async def insert_one(self, ticket: Document) -> None:
        ticket.setdefault("_id", ObjectId(self.server.random.randbytes(12)))
        if ticket["_id"] in self.server.log[-1].tickets:
            raise DuplicateKeyError("duplicate key", 11000)
        self.server.change("insert", ticket["_id"], ticket)
        await self.majority()

    @operation
    async def find_one_and_update(
        self, query: Document, update: Document, *, return_document: bool
    ) -> Document | None:
        assert return_document is ReturnDocument.AFTER
        before = self._find(-1, query)
        if before is None:
            return None
        after = updated(before, update)
        if after != before:
            self.server.change("update", after["_id"], after)
        await self.majority()
        return after

    @operation
    async def replace_one(self, query: Document, ticket: Document) -> None:
        before = self._find(-1, query)
        if before and before != ticket:
            self.server.change("replace", before["_id"], ticket)
        await self.majority()

    @operation
    async def delete_one(self, query: Document) -> None:
        before = self._find(-1, query)
        if before:
            self.server.change("delete", before["_id"], None)
        await self.majority()

    @operation
    async def drop(self) -> None:
        self.server.drop()
        await self.majority()

    @operation
    async def find_one(self, query: Document) -> Document | None:
        return self._find(self.server.known, query)

    def find(self, *, session: Session) -> "Scan":
        return Scan(self.server, self.process, session)

    @operation
    async def aggregate_raw_batches(
        self,
        pipeline: list[Document],
        *,
        batchSize: int,  # noqa: N803 (MongoDB's name)
        maxAwaitTimeMS: int,  # noqa: N803 (MongoDB's name)
    ) -> "Stream":
        match pipeline:
            case [{"$changeStream": stage}, {"$project": fields}]:
                stream = Stream(self.server, self.process)
                stream.open(stage, fields, batchSize, maxAwaitTimeMS / 1000)
                return stream
        raise NotImplementedError(pipeline)


class Scan(WriteHandle):
    """A cursor over all tickets. It reads each batch as it is at that moment.

    The tickets come in the order of their ids. So a ticket that is inserted meanwhile may be
    seen or missed, as in MongoDB.
    """

    def __init__(self, server: Server, process: Process, session: Session) -> None:
        super().__init__(server, process)
        self._session = session
        self._term = 0
        self._batch: list[Document] = []
        self._last: Any = None

    @operation
    async def to_list(self, length: int) -> list[Document]:
        while len(self._batch) < length and await self._get_more():
            await self.turn()
        page, self._batch = self._batch[:length], self._batch[length:]
        return page

    async def _get_more(self) -> list[Document]:
        server = self.server
        if not self._term:
            while server.log[server.known].time < self._session.time:
                await self.turn()
            self._term = server.term
        if self._term != server.term:
            raise CursorNotFound("cursor id not found", 43)
        tickets = server.log[server.known].tickets
        left = sorted(each for each in tickets if self._last is None or each > self._last)
        batch = [copied(tickets[each]) for each in left[: server.random.randint(1, 3)]]
        if batch:
            self._last = batch[-1]["_id"]
            self._batch += batch
        return batch


class Stream(WriteHandle):
    """A change stream that yields raw batches."""

    def open(self, stage: Document, fields: Document, batch_size: int, patience: float) -> None:
        images = [stage.get("fullDocument"), stage.get("fullDocumentBeforeChange")]
        assert images == ["required", "required"]
        self._fields = fields
        self._batch_size = batch_size
        self._patience = patience
        self._term = self.server.term
        self._index = self.server.open(stage)
        self.alive = True

    async def __aenter__(self) -> "Stream":
        return self

    async def __aexit__(self, *_error: object) -> None:
        pass

    @operation
    async def try_next(self) -> bytes | None:
        """Return the next batch, or None if there is none for a while."""
        batch = self._next_batch()
        if not batch:
            self.process.waits = True
            await asyncio.sleep(self._patience)
            batch = self._next_batch()
        return batch or None

    def _next_batch(self) -> bytes:
        server = self.server
        if server.term != self._term:
            raise CursorNotFound("cursor id not found", 43)
        if self._index + 1 < server.oldest:
            raise server.history_lost()
        if not self.alive:
            return b""
        events, self._index = server.events(self._index, self._batch_size, images=True)
        self.alive = not events or events[-1]["operationType"] != "invalidate"
        return b"".join(encode(projected(event, self._fields)) for event in events)


class ReadDatabase(Handle):
    def __init__(self, server: Server, process: Process) -> None:
        super().__init__(server, process)
        self.ticket_reads = Collection(server, process, server.ticket_reads)
        self.dashboard = Collection(server, process, server.dashboard)

    @operation
    async def command(self, command: str) -> Document:
        assert command == "ping"
        return {"ok": 1.0}


class Collection(Handle):
    """A collection of the read side. Others see each write at once."""

    def __init__(self, server: Server, process: Process, stored: Stored) -> None:
        super().__init__(server, process)
        self._stored = stored

    def _find(self, query: Document) -> Document | None:
        found = self._stored.documents.get(query["_id"])
        return copied(found) if found and matches(found, query) else None

    def _put(self, document: Document) -> None:
        self._stored.indexes.add("_id_")
        self._stored.documents[document["_id"]] = copied(document)
        if self._stored is self.server.dashboard:
            self.server.dashboard_written()

    @operation
    async def find_one(self, query: Document, fields: list[str] | None = None) -> Document | None:
        found = self._find(query)
        return projected(found, dict.fromkeys(fields, 1)) if found and fields else found

    @operation
    async def update_one(self, query: Document, update: Document) -> SimpleNamespace:
        found = self._find(query)
        if found:
            self._put(updated(found, update))
        else:
            self.server.happened["compare-and-sets lost"] += 1
        return SimpleNamespace(matched_count=int(found is not None))

    @operation
    async def replace_one(self, query: Document, document: Document, *, upsert: bool) -> None:
        assert upsert
        if self._find(query) is None and query["_id"] in self._stored.documents:
            raise DuplicateKeyError("duplicate key", 11000)
        self._put({"_id": query["_id"]} | document)

    @operation
    async def delete_many(self, query: Document) -> None:
        documents = self._stored.documents
        for each in [each for each in documents.values() if matches(each, query)]:
            del documents[each["_id"]]

    @operation
    async def bulk_write(
        self, writes: list[UpdateOne | DeleteOne], *, ordered: bool = True
    ) -> None:
        if not ordered:
            writes = self.server.random.sample(writes, len(writes))
        for write in writes:
            found = self._find(dict(write._filter))
            match write:
                case UpdateOne(_upsert=True, _doc=list()):
                    self._put(updated(found or {"_id": write._filter["_id"]}, write._doc))
                case DeleteOne():
                    if found:
                        del self._stored.documents[found["_id"]]
                case _:
                    raise NotImplementedError(write)
            await self.turn()

    @operation
    async def index_information(self) -> dict[str, None]:
        return dict.fromkeys(self._stored.indexes)

    @operation
    async def create_indexes(self, indexes: list[IndexModel]) -> None:
        self._stored.indexes |= {"_id_", *(index.document["name"] for index in indexes)}
