"""The two loads: as much as a service takes, by wrk, and a steady one that shows the lag."""

import asyncio
import json
import math
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx2
from bson import ObjectId, Timestamp
from pymongo import AsyncMongoClient
from pymongo.asynchronous.change_stream import AsyncChangeStream

from workbench.errors import Refusal

from .data import Document

CLIENTS = 8
RATE = 200  # commands a second, while the lag is measured

Headers = dict[str, str]
RESPOND_ASYNC = {"Prefer": "respond-async"}


def find_wrk() -> str:
    """Return the path of wrk. Raises Refusal where it is not installed."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise Refusal("There is no wrk: apt-get install wrk, or brew install wrk")
    return wrk


def wrk_version() -> str:
    # It tells with an exit status that is not 0.
    told = subprocess.run([find_wrk(), "--version"], capture_output=True, text=True, check=False)
    return told.stdout.split()[1]


def send(url: str, requests: list[str], seconds: int, headers: Headers | None = None) -> Document:
    """Send the requests for some seconds, as CLIENTS clients; return what load.lua prints.

    The first request is also sent apart, before and after. Before, it tells how long the run has
    to be, and how many `items` a list has. After, it waits behind what wrk has left unanswered,
    so that the next run has MongoDB to itself. Raises Refusal where any request fails.
    """
    headers = {"Content-Type": "application/json"} | (headers or {})
    method, path, content = requests[0].split("\t")
    with httpx2.Client(base_url=url, headers=headers, timeout=600) as http:
        start = time.monotonic()
        answer = http.request(method, path, content=content)
        one_takes = time.monotonic() - start
        if not answer.is_success:
            raise Refusal(f"{method} {path} is answered {answer.status_code}: {answer.text}")
        result = run_wrk(url, requests, max(seconds, math.ceil(one_takes * 5)), headers)
        http.request(method, path, content=content)
    if result["errors"] or not result["requests"]:
        raise Refusal(f"{method} {path}: {result}")
    body = answer.json() if answer.content else None
    return result | ({"items": len(body)} if isinstance(body, list) else {})


def run_wrk(url: str, requests: list[str], seconds: int, headers: Headers) -> Document:
    command = [find_wrk(), "--threads", "1", "--connections", str(CLIENTS), "--timeout", "600s"]
    command += ["--duration", f"{seconds}s"]
    command += [each for item in headers.items() for each in ("--header", ": ".join(item))]
    command += ["--script", str(Path(__file__).with_name("load.lua")), url, "--"]
    with NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("\n".join(requests))
        file.flush()
        wrk = subprocess.run([*command, file.name], stdout=subprocess.PIPE, text=True, check=False)
    if wrk.returncode:
        raise Refusal(f"{url}: wrk ended with status {wrk.returncode}: {wrk.stdout}")
    result: Document = json.loads(wrk.stdout.splitlines()[-1])
    return result


async def measure_lag(
    url: str, uri: str, read_database: str, ids: list[ObjectId], since: Timestamp
) -> list[float]:
    """Note on each of these tickets, RATE a second, and return the lags in milliseconds.

    A lag begins when a command is acknowledged. It ends when a change stream of the read database
    shows that the position in the dashboard has come to the command's change. The commands do not
    wait for each other: each is sent at its time. We do not count the first second. We do not
    count rows that are true for `since` or earlier, because a rebuild writes such rows.
    """
    ours = {"$match": {"documentKey._id": {"$in": [*ids, "dashboard"]}}}
    acknowledged: dict[ObjectId, float] = {}
    visible: dict[ObjectId, float] = {}

    async def note(ticket_id: ObjectId) -> None:
        answer = await http.post(f"/tickets/{ticket_id}/agent-note", json={"note": "Called."})
        acknowledged[ticket_id] = time.monotonic()
        answer.raise_for_status()

    async def watch(changes: AsyncChangeStream[Document]) -> None:
        as_of: dict[ObjectId, Timestamp] = {}  # of the rows that the position has to come to
        while len(visible) < len(ids):
            change = await changes.next()
            fields = change.get("fullDocument") or change["updateDescription"]["updatedFields"]
            if change["ns"]["coll"] == "ticket_reads":
                if fields["as_of"] > since:
                    as_of[change["documentKey"]["_id"]] = fields["as_of"]
            elif "at" in fields:
                now = time.monotonic()
                visible.update({each: now for each in as_of if as_of[each] <= fields["at"]})
                as_of = {each: as_of[each] for each in as_of if each not in visible}

    async with (
        AsyncMongoClient[Document](uri) as client,
        httpx2.AsyncClient(base_url=url, headers=RESPOND_ASYNC, timeout=30) as http,
        await client[read_database].watch([ours]) as changes,
        asyncio.timeout(len(ids) / RATE + 30),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(watch(changes))
        start = time.monotonic()
        for number, ticket_id in enumerate(ids):
            await asyncio.sleep(start + number / RATE - time.monotonic())
            tasks.create_task(note(ticket_id))
    counting = list(acknowledged)[RATE:]
    return [round((visible[each] - acknowledged[each]) * 1000, 2) for each in counting]
