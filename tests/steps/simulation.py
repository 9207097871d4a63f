"""A world in which a seed decides at each database operation who goes on, pauses or dies.

Its processes run the code of step 4 on simulated databases. They run on an event loop of asyncio
that does not wait: when nobody can go on, its clock jumps to the moment at which somebody wakes up.
So ten seconds in the world take some milliseconds, and the same seed always gives the same run.

FoundationDB is tested like this: https://apple.github.io/foundationdb/testing.html
"""

import asyncio
import random
import reprlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from selectors import SelectorKey, SelectSelector
from typing import Any, cast

from pymongo.errors import AutoReconnect, PyMongoError

from step_04_full_cqrs.database import Database

from .simulated_mongodb import ReadDatabase, Server, WriteDatabase


class Died(BaseException):
    """The process was killed. The projector survives every Exception, so this is none."""


class Jumps(SelectSelector):
    """A selector that does not wait: it puts the clock forward."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        assert timeout is not None, "All wait for each other"
        self.now += timeout
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock that jumps."""

    def __init__(self) -> None:
        self._jumps = Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.now


def simulate(act: Coroutine[Any, Any, None]) -> None:
    """Run to the end in simulated time."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(act)


class World:
    """The server, the processes that use it, and how often trouble meets them."""

    def __init__(self, seed: int, tell: Callable[[str], None] | None = None) -> None:
        self.random = random.Random(seed)
        self.server = Server(self.random)
        self.processes: list[Process] = []
        self.calm = False
        self.tell = tell
        # Some worlds have a lot of one kind of trouble, others have none of it.
        self.deaths, self.pauses, self.failures = (
            self.random.choice((0, 0.005, 0.02)) for _ in range(3)
        )

    def tell_of(self, name: str, what: str) -> None:
        if self.tell:
            self.tell(f"{asyncio.get_running_loop().time():7.3f} {name:14} {what}")

    def calm_down(self) -> None:
        """End all trouble. Those who pause go on in time."""
        self.calm = True
        self.deaths = self.pauses = self.failures = 0

    def now(self, _timezone: tzinfo) -> datetime:
        """Return the time. It differs at each call, as if each machine had a wrong clock."""
        moment = asyncio.get_running_loop().time() + self.random.uniform(-120, 120)
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)

    async def keep_running(self, name: str, act: Callable[["Process"], Awaitable[None]]) -> None:
        """Start a process, and another one whenever it has ended."""
        for number in count(1):
            await self.run(f"{name}.{number}", act)
            await asyncio.sleep(self.random.uniform(0, 1))

    async def run(self, name: str, act: Callable[["Process"], Awaitable[None]]) -> None:
        """Run a process until it ends or dies."""
        process = Process(self, name)
        self.processes.append(process)
        try:
            await act(process)
        except (Died, PyMongoError):
            pass
        finally:
            process.dead = True
            self.processes.remove(process)


class Process:
    """Uses the databases until it dies."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.waits = False
        self.write = cast(Database, WriteDatabase(world.server, self))
        self.read = cast(Database, ReadDatabase(world.server, self))

    async def turn(self) -> None:
        """Let others go on, and meet trouble. A dead process does nothing any more."""
        world = self.world
        chance = world.random.random()
        delay = world.random.random() / 50
        if not self.dead and chance < world.deaths:
            self._happened("deaths")
            self.dead = True
        if self.dead:
            raise Died
        if (chance := chance - world.deaths) < world.failures:
            self._happened("network failures")
            raise AutoReconnect("The network failed")
        if (chance := chance - world.failures) < world.pauses:
            self._happened("pauses")
            delay = world.random.uniform(0.5, 3)
        await asyncio.sleep(delay)
        world.server.replicate(to_the_end=world.calm)

    def _happened(self, what: str) -> None:
        self.world.server.happened[what] += 1
        self.world.tell_of(self.name, what)

    def tell(self, operation: str, arguments: tuple[Any, ...], result: object) -> None:
        if self.world.tell:
            short = reprlib.repr(arguments), reprlib.repr(result)
            self.world.tell_of(self.name, f"{operation} {short[0]} -> {short[1]}")
