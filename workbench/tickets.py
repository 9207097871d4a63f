"""Believable tickets, as the collection `tickets` stores them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from faker import Faker

from .pastes import DEVICES, PRODUCTS, Facts, full_day
from .templates import ASIDES, CLOSINGS, GREETINGS, TEMPLATES, Template

Document = dict[str, Any]

WEEKS = timedelta(weeks=6)
STATUSES = {"open": 5, "triaged": 2, "closed": 3}  # and how often each is drawn
NOTED = {"open": 0.06, "triaged": 0.3, "closed": 0.7}  # how likely an agent has left a note
AGENTS = ["Ines", "Tomas", "Priya", "Jonas", "Wanjiru", "Mei"]
BROWSERS = ["Firefox", "Chrome", "Safari", "Edge"]
SYSTEMS = ["Windows 11", "Windows 10", "Ubuntu 24.04", "macOS 15", "macOS 14", "Fedora 42"]


@dataclass(frozen=True)
class Customer:
    first_name: str
    last_name: str
    city: str
    browser: str
    system: str


def draw_tickets(number: int, now: datetime, seed: int | None = None) -> Iterator[Document]:
    """Yield `number` tickets of the six weeks before `now`, the oldest first.

    With the same number, time and seed they are always the same, ids included.
    """
    fake = Faker()
    fake.seed_instance(seed)
    customers = [draw_customer(fake) for _ in range(number * 2 // 3 + 1)]
    templates = draw_templates(fake)
    for created in sorted(draw_moment(fake, now - WEEKS, now) for _ in range(number)):
        yield draw_ticket(fake, fake.random.choice(customers), next(templates), created, now)


def draw_customer(fake: Faker) -> Customer:
    return Customer(
        first_name=fake.first_name(),
        last_name=fake.last_name(),
        city=fake.city(),
        browser=f"{fake.random.choice(BROWSERS)} {fake.random.randint(128, 150)}",
        system=fake.random.choice(SYSTEMS),
    )


def draw_templates(fake: Faker) -> Iterator[Template]:
    """Yield templates without end. Each one comes once before any comes again."""
    while True:
        yield from fake.random.sample(TEMPLATES, len(TEMPLATES))


def draw_moment(fake: Faker, start: datetime, end: datetime) -> datetime:
    """Return a moment between two others, to the millisecond, most likely in working hours."""
    while True:
        moment: datetime = start + (end - start) * fake.random.random()
        at_work = moment.weekday() < 5 and 8 <= moment.hour < 18
        if at_work or fake.random.random() < 0.1:
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def draw_ticket(
    fake: Faker, customer: Customer, template: Template, created: datetime, now: datetime
) -> Document:
    facts = draw_facts(fake, customer, created)
    subject = fake.random.choice(template.subjects).format(**facts)
    [status] = fake.random.choices(list(STATUSES), weights=list(STATUSES.values()))
    note = template.note.format(**facts) if fake.random.random() < NOTED[status] else None
    untouched = status == "open" and note is None
    latest = min(created + timedelta(days=6), now)
    return {
        # As MongoDB would have made it at that moment.
        "_id": ObjectId(int(created.timestamp()).to_bytes(4) + fake.random.randbytes(8)),
        "customer_id": facts["customer_id"],
        "subject": subject[0].upper() + subject[1:],
        "message": write_message(fake, template, facts, created),
        "status": status,
        "agent_note": note,
        "created_at": created,
        "updated_at": created if untouched else draw_moment(fake, created, latest),
    }


def draw_facts(fake: Faker, customer: Customer, created: datetime) -> Facts:
    """Return what the texts of a ticket speak of: the same order in subject, message and note."""
    past = created - timedelta(days=fake.random.randint(1, 6))
    due = created + timedelta(days=fake.random.randint(3, 14))
    due += timedelta(days=2 if due.weekday() > 4 else 0)
    product, other_product, liked_product = fake.random.sample(PRODUCTS, 3)
    return {
        "customer_id": f"{customer.first_name}.{customer.last_name}".lower(),
        "first_name": customer.first_name,
        "name": f"{customer.first_name} {customer.last_name}",
        "city": customer.city,
        "browser": customer.browser,
        "system": customer.system,
        "agent": fake.random.choice(AGENTS),
        "colleague": f"{fake.first_name()} {fake.last_name()}",
        "product": product,
        "other_product": other_product,
        "liked_product": liked_product,
        "device": fake.random.choice(list(DEVICES)),
        "order": str(fake.random.randint(10_000, 99_999)),
        "invoice": fake.bothify("RE-######"),
        "serial": fake.bothify("??-######").upper(),
        "reference": fake.bothify("SR-#####"),
        "version": f"4.{fake.random.randint(0, 30)}.{fake.random.randint(0, 9)}",
        "amount": f"{fake.random.randint(900, 90_000) / 100:.2f} euros",
        "count": str(fake.random.randint(3, 60)),
        "day": f"{past:%A}",
        "date": f"{past.day} {past:%B}",
        "time": f"{fake.random.randint(9, 16)}:{fake.random.choice(['00', '15', '30', '45'])}",
        "due": full_day(due),
        "month": f"{created - timedelta(days=fake.random.randint(60, 300)):%B}",
    }


def write_message(fake: Faker, template: Template, facts: Facts, created: datetime) -> str:
    asides = fake.random.sample(ASIDES, fake.random.choice([0, 0, 1, 1, 2]))
    before = [fake.random.choice(GREETINGS), *template.message.split("\n\n")]
    after = [*asides, fake.random.choice(CLOSINGS)]
    paragraphs = [" ".join(each.split()).format(**facts) for each in before]
    if template.paste is not None:
        length = int(fake.random.triangular(500, 7400, 6400))
        paragraphs.append("\n".join(take(template.paste(fake, facts, created), length)).rstrip())
    paragraphs += [each.format(**facts) for each in after]
    return "\n\n".join(each for each in paragraphs if each)


def take(lines: Iterator[str], length: int) -> Iterator[str]:
    """Yield at least one line, and more until they have `length` characters or run out."""
    for line in lines:
        yield line
        length -= len(line) + 1
        if length <= 0:
            return
