"""Step 4's projector as a separate process, which can be paused."""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from bson import json_util

from ..processes import record
from ..xray import Command

REST = 1.0  # seconds, before a projector that died is started again

logger = logging.getLogger("uvicorn.error")


@dataclass
class Projection:
    """A batch of changes that was projected."""

    number: int
    commands: list[Command]


class ProjectorProcess:
    """Runs the projector, hears what it reports, and starts it again when it dies."""

    def __init__(self) -> None:
        self.state: Literal["starting", "running", "paused"] = "starting"
        self.starts = 0
        self.projections = deque[Projection](maxlen=50)
        self._projected = 0
        self._caught_up = asyncio.Event()
        self._process: Process | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep a projector running until the block ends. The block begins once it has caught up."""
        keeping = asyncio.create_task(self._keep_running())
        waiting = asyncio.create_task(self._caught_up.wait())
        try:
            await asyncio.wait([keeping, waiting], return_when=asyncio.FIRST_COMPLETED)
            if not self._caught_up.is_set():
                sys.exit("The projector did not start: its own lines above say why")
            yield
        finally:
            waiting.cancel()
            keeping.cancel()
            await asyncio.wait([keeping, waiting])

    def pause(self) -> None:
        """Suspend the process: it stays as it is, and does nothing."""
        if self.state == "running":
            with suppress(psutil.NoSuchProcess):  # it has just died, and is started again
                self._of_the_system().suspend()
                self.state = "paused"

    def resume(self) -> None:
        """Let a suspended process go on."""
        with suppress(psutil.NoSuchProcess):
            self._of_the_system().resume()
            self.state = "running" if self.state == "paused" else self.state

    def _of_the_system(self) -> psutil.Process:
        """Return the process to psutil. Raises NoSuchProcess if it has ended."""
        if self._process is None or self._process.returncode is not None:
            raise psutil.NoSuchProcess(0)
        return psutil.Process(self._process.pid)

    async def _keep_running(self) -> None:
        await self._run()
        while self._caught_up.is_set():  # else it cannot start at all
            logger.error("The projector has died. It is started again")
            await asyncio.sleep(REST)
            await self._run()

    async def _run(self) -> None:
        """Run a projector until it ends or we are cancelled, and hear what it says."""
        self.state = "starting"
        command = (sys.executable, "-m", "workbench.projector")
        self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        self.starts += 1
        if "RECORDS" in os.environ:
            record(Path(os.environ["RECORDS"]), self._process.pid)
        assert self._process.stdin and self._process.stdout
        try:
            async for line in self._process.stdout:
                self._hear(json_util.loads(line))
        finally:
            self.resume()
            self._process.stdin.close()  # this tells it to end
            await self._process.wait()

    def _hear(self, report: Any) -> None:
        if report == "ready":
            self.state = "running"
            self._caught_up.set()
            return
        self._projected += 1
        commands = [Command(**each) for each in report]
        self.projections.append(Projection(self._projected, commands))
