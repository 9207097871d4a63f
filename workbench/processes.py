"""Processes that end with the block that needs them.

A workbench that is killed cannot end what it has started. So it records each process that must
not stay behind in a folder. The next holder of that folder's lock ends what still runs.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from .errors import Refusal

# Options of Popen. A process in its own session (on Windows: in its own group) does not hear
# Ctrl-C. We hear it, and end one process after the other.
OWN_SESSION: dict[str, Any] = {
    "start_new_session": True,
    "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
}


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, with subprocess.Popen's options.

    It is then asked to end, and killed if it still runs after 30 seconds.
    """
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            end(psutil.Process(process.pid))
        process.wait()


def end(process: psutil.Process) -> None:
    """Ask a process to end, and kill it if it still runs after 30 seconds.

    What it has started is killed if it still runs then. All are resumed first: a suspended
    process cannot end itself or others.
    """
    left: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        left += process.children(recursive=True)
        for each in [process, *left]:
            with suppress(psutil.NoSuchProcess):
                each.resume()
        process.terminate()
        if not ends(process):
            left += [process, *process.children(recursive=True)]
    for each in left:
        with suppress(psutil.NoSuchProcess):
            each.kill()
            ends(each)


def ends(process: psutil.Process) -> bool:
    """Tell whether a process ends within 30 seconds."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            process.wait(0.1)
            return True
        except psutil.TimeoutExpired:
            # A zombie has ended too. In a container without an init, it stays a zombie.
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
    return False


@contextmanager
def sole_user(records: Path, refusal: Refusal) -> Iterator[None]:
    """Hold the lock of a folder of records until the block ends. Raises the refusal if it is held.

    Before the block, it ends the processes that a killed holder has left recorded there. After the
    block, it ends those that the block has recorded.
    """
    records.mkdir(parents=True, exist_ok=True)
    lock = FileLock(records.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise refusal from None
    try:
        end_recorded(records)
        yield
    finally:
        end_recorded(records)
        lock.release()


def record(records: Path, pid: int) -> None:
    """Record a process, so that the next holder of the lock ends it if we are killed."""
    with suppress(psutil.NoSuchProcess):  # it has ended already
        started = psutil.Process(pid).create_time()
        records.joinpath(str(pid)).write_text(str(started))


def end_recorded(records: Path) -> None:
    """End the processes that are recorded in a folder, the oldest first, and forget them."""
    files = list(records.glob("[0-9]*"))
    processes = [process for file in files if (process := find_recorded(file))]
    # A service is older than the processes it starts. It would start them again.
    for process in sorted(processes, key=psutil.Process.create_time):
        end(process)
    for file in files:
        file.unlink()


def find_recorded(file: Path) -> psutil.Process | None:
    """Return the process of a record if it still runs. Another one may have its number by now."""
    try:
        process = psutil.Process(int(file.name))
        return process if str(process.create_time()) == file.read_text() else None
    except psutil.NoSuchProcess:
        return None
