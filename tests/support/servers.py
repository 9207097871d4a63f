"""Real processes, for the tests that need them: served steps, and how to end them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx2
import psutil
from mirakuru import HTTPExecutor

from workbench.mongod import free_port

T = TypeVar("T")
STEPS = (
    "step_01_crud",
    "step_02_split_handlers",
    "step_03_projections",
    "step_04_full_cqrs",
)


@dataclass
class Server:
    http: httpx2.Client
    pid: int
    log: Path


@contextmanager
def serve(
    app: str,
    *arguments: str,
    port: int | None = None,
    through: tuple[str, ...] = (),
    **environment: str,
) -> Iterator[Server]:
    """Run uvicorn with the app (`step_01_crud.main:app`) and more arguments, until the block ends.

    It gets the environment of the test and these variables. It may run `through` a module, such
    as `tests.support.dying` with its arguments.
    """
    port = port or free_port()
    command = [sys.executable, "-m", *through, "uvicorn", app, "--port", str(port), *arguments]
    # Longer than a test is idle: a request can get lost if its connection is closed just then.
    command += ["--timeout-keep-alive", "60"]
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w") as log:
        executor = HTTPExecutor(
            command,
            f"http://127.0.0.1:{port}/openapi.json",
            method="GET",
            timeout=30,
            envvars=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            executor.start()
            assert executor.process is not None
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
                yield Server(http, executor.process.pid, Path(log.name))
        finally:
            executor.kill()


@contextmanager
def at_once(*blocks: AbstractContextManager[T]) -> Iterator[list[T]]:
    """Enter all these blocks at the same time: a service takes a second to start."""
    with ExitStack() as stack, ThreadPoolExecutor(len(blocks)) as threads:
        yield list(threads.map(stack.enter_context, blocks))


@contextmanager
def running(
    module: str,
    log: Path = Path(os.devnull),
    through: tuple[str, ...] = (),
    **environment: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module, and kill it at the end of the block. What it prints goes to a file.

    It may run `through` another module, as in `serve`.
    """
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *through, module],
            env=os.environ | environment,
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run_to_end(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module that ends by itself (`step_03_projections.rebuild`), for 30 seconds at most."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds, for 30 seconds at most."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lives(process: psutil.Process) -> bool:
    """Tell whether a process has not ended. After its end, it may stay in the list as a zombie."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@contextmanager
def paused(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    """Keep processes from doing anything, until the block ends."""
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)  # until it has stopped
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
