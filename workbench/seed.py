"""Realistic tickets, sent to whichever step is running."""

import asyncio
import random
from collections.abc import Iterator
from typing import Never

import httpx2
from faker import Faker
from tqdm import tqdm

from .errors import Refusal

CLIENTS = 8

fake = Faker()


async def seed_tickets(service: str, number: int) -> None:
    """Send `number` tickets to the service at this URL; about half of them are then worked on.

    Raises Refusal where no step is running there, or where it cannot take them.
    """
    async with httpx2.AsyncClient(base_url=service, timeout=30) as http:
        try:
            await http.get("/dashboard")
        except httpx2.ConnectError as error:
            raise Refusal(f"No step answers at {service}: start one, make run STEP=1") from error
        with tqdm(total=number, unit=" tickets") as bar:
            left = iter(range(number))
            try:
                await asyncio.gather(*(send_tickets(http, left, bar) for _ in range(CLIENTS)))
            except httpx2.HTTPError as error:
                raise Refusal(f"It stopped after {bar.n} tickets: {error}") from error


async def send_tickets(http: httpx2.AsyncClient, left: Iterator[int], bar: "tqdm[Never]") -> None:
    for _ in left:
        body = {
            "customer_id": fake.user_name(),
            "subject": fake.sentence(nb_words=6),
            "message": "\n\n".join(fake.paragraphs(nb=random.randint(3, 20))),
        }
        created = await post(http, "/tickets", body)
        ticket = f"/tickets/{created.json()['id']}"
        if random.random() < 0.3:
            await post(http, f"{ticket}/agent-note", {"note": fake.paragraph()})
        status = random.choices(["open", "triaged", "closed"], weights=[5, 2, 3])[0]
        if status != "open":
            await post(http, f"{ticket}/status", {"new_status": status})
        bar.update()


async def post(http: httpx2.AsyncClient, path: str, body: dict[str, str]) -> httpx2.Response:
    response = await http.post(path, json=body)
    return response.raise_for_status()
