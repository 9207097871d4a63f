"""A world in which a seed decides, at each database operation, who goes on and who dies.

Its actors are coroutines of the step itself. Their collections are mongomock's, wrapped so
that an actor gives way before and after each operation; one that dies after an operation has
made its change and never heard of it. As on a server, a bulk write gives way between its
operations, and an upsert between finding nothing and inserting. The clock is the world's own and
moves by up to two minutes whenever it is read. The same seed always gives the same run.

FoundationDB is tested like this: https://apple.github.io/foundationdb/testing.html
"""

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace, coroutine
from typing import Any, TypeVar, cast

from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo_async_mock import AsyncMongoMockClient

Result = TypeVar("Result")
Act = Coroutine[None, None, None]
Actor = Callable[[], Act]


@coroutine
def give_way() -> Generator[None, None, None]:
    yield


class Collection:
    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def operation(*arguments: Any, **options: Any) -> Any:
            await give_way()
            try:
                return await getattr(self._collection, name)(*arguments, **options)
            finally:
                await give_way()

        return operation

    def find(self, *arguments: Any, **options: Any) -> "Cursor":
        return Cursor(self._collection.find(*arguments, **options))

    async def find_one_and_replace(self, which: Any, row: Any, *, upsert: bool = False) -> Any:
        await give_way()
        before = await self._collection.find_one_and_replace(which, row)
        if before is None and upsert:
            await give_way()
            await self._collection.insert_one(row)
        await give_way()
        return before

    async def bulk_write(self, operations: list[Any], **_options: Any) -> None:
        failed = []
        for each in operations:
            await give_way()
            try:
                match each:
                    case InsertOne():
                        await self._collection.insert_one(each._doc)
                    case UpdateOne():
                        await self._collection.update_one(each._filter, each._doc)
            except DuplicateKeyError:
                failed.append({"code": 11000})
        await give_way()
        if failed:
            raise BulkWriteError({"writeErrors": failed})


class Cursor:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    async def to_list(self) -> list[Any]:
        await give_way()
        return cast(list[Any], await self._cursor.to_list())

    async def __aiter__(self) -> AsyncIterator[Any]:
        for document in await self.to_list():
            yield document


# One for all worlds: pymongo-async-mock wraps mongomock once more for each new collection.
server = AsyncMongoMockClient(tz_aware=True)


class World:
    """The empty databases of both sides, and what may happen to those who use them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._moment = datetime(2026, 1, 1, tzinfo=UTC)
        self.tickets = server["write"].tickets
        self.ticket_list = server["read"].ticket_list
        self.dashboard = server["read"].dashboard
        self.write: Any = SimpleNamespace(tickets=Collection(self.tickets))
        self.read: Any = SimpleNamespace(
            ticket_list=Collection(self.ticket_list), dashboard=Collection(self.dashboard)
        )
        run_alone(self._empty())

    async def _empty(self) -> None:
        for collection in (self.tickets, self.ticket_list, self.dashboard):
            await collection.delete_many({})

    def now(self, _timezone: tzinfo) -> datetime:
        self._moment += timedelta(seconds=self.random.uniform(0, 120))
        return self._moment

    def run(
        self,
        clients: list[Actor],
        workers: Sequence[Actor] = (),
        deaths: int = 0,
        always: Actor = give_way,
    ) -> None:
        """Let all go on by turns until each client has ended or died, then end the workers.

        Now and then somebody falls asleep for a while, and somebody dies; a worker that dies
        is started again at once. At any moment, `always` may be asked whether all is well.
        """
        alive = [(actor, actor()) for actor in [*clients, *workers]]
        asleep = Counter[Act]()
        while any(actor in clients for actor, _ in alive):
            chosen = self.random.randrange(len(alive))
            actor, running = alive[chosen]
            asleep[running] -= 1
            if asleep[running] > 0:
                continue
            chance = self.random.random()
            if chance < 0.02:
                asleep[running] = self.random.randint(1, 100)
            elif chance < 0.04 and deaths:
                deaths -= 1
                running.close()
                if actor in clients:
                    del alive[chosen]
                else:
                    alive[chosen] = actor, actor()
            elif chance < 0.07:
                run_alone(always())
            else:
                try:
                    running.send(None)
                except StopIteration:
                    del alive[chosen]
        for _, running in alive:
            running.close()


def run_alone(act: Coroutine[None, None, Result]) -> Result:
    """Let one go on to its end, with nobody in between, and return what it returns."""
    for _ in range(100_000):
        try:
            act.send(None)
        except StopIteration as end:
            return cast(Result, end.value)
    raise AssertionError("It never ends")
