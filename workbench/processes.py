"""Processes that end with the block that needs them, or are recorded for a later one to end.

A workbench that is killed can end nothing. So whoever starts a process that must not stay behind
records it in a folder, and whoever next holds the lock of that folder ends what still runs.
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

# Options of Popen. A process in a session of its own, on Windows in a group of its own, does not
# hear Ctrl-C. We do, and end one process after the other.
OWN_SESSION: dict[str, Any] = {
    "start_new_session": True,
    "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
}


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, with subprocess.Popen's options.

    It is then asked to end, and killed where it has not within 30 seconds.
    """
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            end(psutil.Process(process.pid))
        process.wait()


def end(process: psutil.Process) -> None:
    """Ask a process to end, and kill it where it has not in 30 seconds.

    What it has started and does not end itself is killed. All are resumed first: a suspended
    process ends nothing, not even itself.
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
            # It has ended too if nobody takes note of it, as in a container without an init.
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
    return False


@contextmanager
def sole_user(records: Path, refusal: Refusal) -> Iterator[None]:
    """Hold the lock of a folder of records until the block ends. Raises the refusal if it is held.

    What is recorded there is ended before the block, where a killed holder left it, and after it.
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
    """Record a process, so that it is ended also where nobody lives who knows it."""
    with suppress(psutil.NoSuchProcess):  # it has ended already
        started = psutil.Process(pid).create_time()
        records.joinpath(str(pid)).write_text(str(started))


def end_recorded(records: Path) -> None:
    """End the processes that are recorded in a folder, the oldest first, and forget them."""
    files = list(records.glob("[0-9]*"))
    processes = [process for file in files if (process := find_recorded(file))]
    # A service is older than what it starts, and would start that again.
    for process in sorted(processes, key=psutil.Process.create_time):
        end(process)
    for file in files:
        file.unlink()


def find_recorded(file: Path) -> psutil.Process | None:
    """Return the process of a record, if it is still there: another may have its number by now."""
    try:
        process = psutil.Process(int(file.name))
        return process if str(process.create_time()) == file.read_text() else None
    except psutil.NoSuchProcess:
        return None
