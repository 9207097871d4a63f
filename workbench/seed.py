"""Believable tickets for a desk that is empty."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Never

import httpx2
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from tqdm import tqdm

from step_01_crud.database import database_name

from .errors import Refusal
from .tickets import Document, draw_tickets

CLIENTS = 8
BATCH = 100


async def send_tickets(service: str, number: int) -> None:
    """Send `number` tickets to the step that is running at this URL, as its clients would.

    Raises Refusal if no step is running there, or if it cannot take them.
    """
    async with httpx2.AsyncClient(base_url=service, timeout=30) as http:
        try:
            # The command side of step 4 has this route too, when it is served alone.
            (await http.get("/openapi.json")).raise_for_status()
        except httpx2.HTTPError as error:
            raise Refusal(f"No step answers at {service}: {error}") from error
        with tqdm(total=number, unit=" tickets") as bar:
            tickets = draw_tickets(number, datetime.now(UTC))
            try:
                await asyncio.gather(*(send(http, tickets, bar) for _ in range(CLIENTS)))
            except httpx2.HTTPError as error:
                raise Refusal(f"It stopped after {bar.n} tickets: {error}") from error


async def send(http: httpx2.AsyncClient, tickets: Iterator[Document], bar: "tqdm[Never]") -> None:
    for ticket in tickets:
        body = {name: ticket[name] for name in ("customer_id", "subject", "message")}
        created = await post(http, "/tickets", body)
        path = f"/tickets/{created.json()['id']}"
        if ticket["agent_note"]:
            await post(http, f"{path}/agent-note", {"note": ticket["agent_note"]})
        if ticket["status"] != "open":
            await post(http, f"{path}/status", {"new_status": ticket["status"]})
        bar.update()


async def post(http: httpx2.AsyncClient, path: str, body: dict[str, str]) -> httpx2.Response:
    response = await http.post(path, json=body)
    return response.raise_for_status()


def store_tickets(uri: str, number: int) -> None:
    """Store `number` tickets of the last weeks in MongoDB. The next start of a step shows them.

    Raises Refusal if MongoDB does not take them.
    """
    tickets = draw_tickets(number, datetime.now(UTC))
    with (
        MongoClient[Document](uri, serverSelectionTimeoutMS=2000) as client,
        tqdm(total=number, unit=" tickets") as bar,
    ):
        try:
            while batch := list(islice(tickets, BATCH)):
                client[database_name()].tickets.insert_many(batch)
                bar.update(len(batch))
        except PyMongoError as error:
            raise Refusal(f"It stopped after {bar.n} tickets: {error}") from error
