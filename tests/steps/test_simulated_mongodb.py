"""The simulated MongoDB gives the same answers as a real one to all that step 4 asks."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast
from uuid import uuid4

import pytest
from bson import ObjectId, Timestamp, decode_all
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from step_04_full_cqrs import commands
from step_04_full_cqrs.database import Database
from step_04_full_cqrs.errors import ClosedTicketReopened, TicketNotFound
from step_04_full_cqrs.projections import STATUSES, create_indexes, row_write

from .simulated_mongodb import Document, ReadDatabase, Server, WriteDatabase

IDS = [ObjectId(bytes([number]) * 12) for number in range(4)]
TIME = datetime(2026, 1, 1, tzinfo=UTC)
ACTS = 60


@pytest.mark.parametrize("seed", range(12))
def test_the_simulated_mongodb_answers_as_a_real_one(
    seed: int, mongod: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "datetime", StoppedClock)
    assert asyncio.run(ask_the_simulated_one(seed)) == asyncio.run(ask_a_real_one(seed, mongod))


class StoppedClock:
    @staticmethod
    def now(_timezone: object) -> datetime:
        return TIME + timedelta(seconds=5)


class Prompt:
    """A process that is alone. All that it writes is replicated at once."""

    waits = False

    def __init__(self, server: Server) -> None:
        self._server = server

    async def turn(self) -> None:
        self._server.replicate(to_the_end=True)

    def tell(self, operation: str, arguments: tuple[Any, ...], result: object) -> None:
        pass


async def ask_the_simulated_one(seed: int) -> list[Any]:
    server = Server(Random(0))
    process = Prompt(server)
    write, read = WriteDatabase(server, process), ReadDatabase(server, process)

    async def close_two() -> None:
        server.close_two()
        await process.turn()

    return await Asker(seed, cast(Database, write), cast(Database, read), close_two).ask()


async def ask_a_real_one(seed: int, uri: str) -> list[Any]:
    name = f"test_{uuid4().hex}"
    async with AsyncMongoClient[Document](
        uri, tz_aware=True, w="majority", readConcernLevel="majority"
    ) as client:

        async def close_two() -> None:
            tickets = client[name].tickets
            still_open = {"status": {"$ne": "closed"}}
            async with client.start_session() as session, await session.start_transaction():
                for ticket in await tickets.find(still_open, session=session).to_list(2):
                    closed = {"$set": {"status": "closed"}}
                    await tickets.update_one({"_id": ticket["_id"]}, closed, session=session)

        try:
            return await Asker(seed, client[name], client[f"{name}_read"], close_two).ask()
        finally:
            await client.drop_database(name)
            await client.drop_database(f"{name}_read")


class Asker:
    """Does by chance what step 4 and people do to their databases, and keeps the answers."""

    def __init__(
        self, seed: int, write: Database, read: Database, close_two: Callable[[], Awaitable[None]]
    ) -> None:
        self.random = Random(seed)
        self.write = write
        self.read = read
        self.close_two = close_two
        self.places: list[Document] = []  # where a stream can begin

    async def ask(self) -> list[Any]:
        if self.random.random() < 0.5:
            await self.write.create_collection("tickets", check_exists=False)
            images = {"enabled": True}
            await self.write.command("collMod", "tickets", changeStreamPreAndPostImages=images)
        answers: list[Any] = []
        for _ in range(ACTS):
            time = (await self.write.command("ping"))["operationTime"]
            self.places.append({"startAtOperationTime": Timestamp(time.time, time.inc + 1)})
            act = self.random.choices(
                [
                    self.insert,
                    self.change,
                    self.replace,
                    self.delete,
                    self.close_two,
                    self.drop,
                    self.keep_images,
                    self.scan,
                    self.count,
                    self.stream,
                    self.find_the_end,
                    self.put_rows,
                    self.clear_old_rows,
                    self.create_indexes,
                    self.start_dashboard,
                    self.move_dashboard,
                ],
                [6, 6, 2, 2, 1, 0.5, 1, 2, 2, 6, 2, 4, 1, 0.5, 1, 3],
            )[0]
            try:
                answer: Any = await act()
            except PyMongoError as error:
                answer = f"{type(error).__name__} {getattr(error, 'code', None)}"
            except (ClosedTicketReopened, TicketNotFound) as error:
                answer = repr(error)
            answers.append((act.__name__, answer, await self.stored()))
        return answers

    async def stored(self) -> list[Document | None]:
        """Return all that is stored now."""
        tickets, rows = self.write.tickets, self.read.ticket_reads
        return [
            *[await tickets.find_one({"_id": ticket_id}) for ticket_id in IDS],
            *[await rows.find_one({"_id": ticket_id}) for ticket_id in IDS],
            await self.read.dashboard.find_one({"_id": "dashboard"}),
        ]

    def ticket(self) -> Document:
        return {
            "_id": self.random.choice(IDS),
            "subject": "s",
            "message": self.random.choice("mn"),
            "status": self.random.choice(STATUSES),
            "agent_note": self.random.choice([None, "", "Called back"]),
            "updated_at": TIME + timedelta(seconds=self.random.randint(0, 9)),
        }

    def time(self) -> Timestamp:
        return Timestamp(1, self.random.randint(1, 9))

    # The tickets

    async def insert(self) -> None:
        await self.write.tickets.insert_one(self.ticket())

    async def change(self) -> Document:
        ticket = self.ticket()
        fields = {"status": ticket["status"], "agent_note": ticket["agent_note"]}
        return await commands.change(self.write, str(ticket["_id"]), fields)

    async def replace(self) -> None:
        ticket = self.ticket()
        query = {"_id": ticket["_id"]}
        if self.random.random() < 0.3:  # by itself, which changes nothing
            ticket = await self.write.tickets.find_one(query) or ticket
        await self.write.tickets.replace_one(query, ticket)

    async def delete(self) -> None:
        await self.write.tickets.delete_one({"_id": self.random.choice(IDS)})

    async def drop(self) -> None:
        await self.write.tickets.drop()

    async def keep_images(self) -> None:
        if self.random.random() < 0.7:
            await self.write.create_collection("tickets", check_exists=False)
        images = {"enabled": self.random.random() < 0.9}
        await self.write.command("collMod", "tickets", changeStreamPreAndPostImages=images)

    async def scan(self) -> list[Document]:
        now = (await self.write.command("ping"))["operationTime"]
        found = []
        async with self.write.client.start_session() as session:
            session.advance_operation_time(now)
            tickets = self.write.tickets.find(session=session)
            while page := await tickets.to_list(2):
                assert len(page) <= 2
                found += page
        return sorted(found, key=lambda ticket: ticket["_id"])

    async def count(self) -> list[Document]:
        reply = await self.write.command(
            "aggregate",
            "tickets",
            pipeline=[
                {"$group": {"_id": "$status", "count": {"$sum": 1}}},
                {"$match": {"$expr": {"$in": ["$_id", STATUSES]}}},
            ],
            cursor={},
            readConcern={"level": "snapshot"},
        )
        time = reply["cursor"]["atClusterTime"]
        self.places.append({"startAtOperationTime": Timestamp(time.time, time.inc + 1)})
        return sorted(reply["cursor"]["firstBatch"], key=lambda group: str(group["_id"]))

    async def stream(self) -> list[Document]:
        """Return what comes after a place, and keep the places that it shows."""
        images = {"fullDocument": "required", "fullDocumentBeforeChange": "required"}
        fields = ["operationType", "clusterTime", "documentKey", "fullDocument"]
        stream: Any = await self.write.tickets.aggregate_raw_batches(
            [
                {"$changeStream": self.random.choice(self.places) | images},
                {"$project": dict.fromkeys([*fields, "fullDocumentBeforeChange.status"], 1)},
            ],
            batchSize=2,
            maxAwaitTimeMS=10,
        )
        events: list[Document] = []
        async with stream:
            while stream.alive and (batch := await stream.try_next()):
                events += decode_all(batch, self.write.codec_options)
        times = [event.pop("clusterTime", None) for event in events]
        for event, time in zip(events, times, strict=True):
            token = event.pop("_id")
            if event["operationType"] not in ("drop", "invalidate"):  # where no stream goes on
                self.places += [{"resumeAfter": token}, {"startAtOperationTime": time}]
        return events

    async def find_the_end(self) -> list[Document]:
        pipeline = [{"$changeStream": self.random.choice(self.places)}]
        reply = await self.write.command("aggregate", "tickets", pipeline=pipeline, cursor={})
        await self.write.command("killCursors", "tickets", cursors=[reply["cursor"]["id"]])
        events: list[Document] = reply["cursor"]["firstBatch"]
        if not events:
            self.places.append({"resumeAfter": reply["cursor"]["postBatchResumeToken"]})
        return [{"operationType": each["operationType"]} for each in events]

    # The read side

    async def put_rows(self) -> None:
        writes = []
        for _ in range(self.random.randint(1, 4)):
            ticket = self.ticket()
            gone = self.random.random() < 0.3
            writes.append(row_write(ticket["_id"], None if gone else ticket, self.time()))
        await self.read.ticket_reads.bulk_write(writes)

    async def clear_old_rows(self) -> None:
        row = {"_id": self.random.choice(IDS)}
        await self.read.ticket_reads.replace_one(row, {"subject": "has no time"}, upsert=True)
        await self.read.ticket_reads.delete_many({"as_of": {"$not": {"$gte": self.time()}}})

    async def create_indexes(self) -> list[str]:
        before = await self.read.ticket_reads.index_information()
        await create_indexes(self.read)
        return [*sorted(before), *sorted(await self.read.ticket_reads.index_information())]

    async def start_dashboard(self) -> None:
        expected: Document = self.random.choice(
            [
                {"_id": "dashboard"},
                {"_id": "dashboard", "at": None},
                {"_id": "dashboard", "at": self.time(), "resume": {"n": 1}},
            ]
        )
        counts = dict.fromkeys(STATUSES, 0)
        await self.read.dashboard.replace_one(
            expected, counts | {"at": self.time(), "resume": {"n": 1}}, upsert=True
        )

    async def move_dashboard(self) -> tuple[Document | None, int]:
        position = await self.read.dashboard.find_one(
            {"_id": "dashboard", "at": {"$ne": None}}, ["at", "resume"]
        )
        expected = dict(position or {"_id": "dashboard", "at": None})
        if self.random.random() < 0.3:
            expected["resume"] = {"n": 2}
        change = {"at": self.time(), "resume": {"n": self.random.randint(1, 2)}}
        moved = await self.read.dashboard.update_one(
            expected, {"$inc": {self.random.choice(STATUSES): 1}, "$set": change}
        )
        return position, moved.matched_count
