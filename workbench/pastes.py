"""What customers paste below their words: logs, lists, older mails. Each is a stream of lines."""

import json
import textwrap
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from faker import Faker

Facts = dict[str, str]
# Yields lines, most of them without end. It knows the facts of the ticket, and when it is written.
Paste = Callable[[Faker, Facts, datetime], Iterator[str]]

DEVICES = {
    "label printer L22": 89.00,
    "laser printer P31": 249.00,
    "document scanner D40": 319.00,
    "coffee machine C9": 649.00,
    "router R5": 119.00,
    "headset H3": 79.90,
    "webcam W2": 54.90,
    "meeting room screen M55": 899.00,
    "projector J4": 429.00,
    "badge reader B1": 64.00,
    "docking station K6": 139.00,
}
FURNITURE = {
    "standing desk S160": 549.00,
    "desk lamp 7": 42.50,
    "paper shredder 12X": 99.00,
    "swivel chair E80": 289.00,
}
SUPPLIES = {
    "label rolls, 62 mm": 8.90,
    "toner, black": 61.00,
    "toner, magenta": 74.00,
    "copy paper A4, box of 5": 23.90,
    "coffee beans, 1 kg": 14.90,
    "descaling tablets": 9.50,
    "ear cushions, pair": 6.90,
    "network cable, 5 m": 7.40,
    "cable tray": 18.00,
    "shredder bags, 50 pieces": 12.30,
    "lamp shade, grey": 11.00,
    "chair castors, set of 5": 19.90,
    "wall bracket": 34.00,
    "cleaning cloths, 100 pieces": 10.80,
    "power supply, 90 W": 39.00,
}
PRODUCTS = [*DEVICES, *FURNITURE]
PRICES = DEVICES | FURNITURE | SUPPLIES
WORKING_DAY = 10 * 60  # minutes
DEPARTMENTS = ["Accounting", "Sales", "Reception", "Warehouse", "Design", "Human resources"]

# Each % and # becomes a digit.
LOG_LINES = [
    "INFO  [spooler] job %### accepted, %# pages",
    "INFO  [spooler] job %### finished in %### ms",
    "INFO  [network] lease renewed, address 192.0.2.1##",
    "INFO  [storage] %### MB free of 16384 MB",
    "DEBUG [network] keep-alive answered after %# ms",
    "DEBUG [power] mode changed to standby after %# minutes",
    "INFO  [updates] looking for updates, this is version 4.%#",
    "WARN  [updates] checksum of package %### differs, trying again",
    "WARN  [network] no answer from 198.51.100.%#, try % of 10",
    "WARN  [spooler] queue holds %# jobs, the oldest waits for %## minutes",
    "WARN  [power] voltage below limit for %# ms",
    "ERROR [storage] cannot write /var/queue/%###.tmp: no space left on device",
    "ERROR [network] connection to 203.0.113.%#:443 closed by the other side",
    "ERROR [updates] installation stopped at step %# of 99, code E%##",
    "ERROR [spooler] job %### given up after % tries: device does not answer",
    "INFO  [panel] button pressed: OK",
    "INFO  [panel] message shown: please wait",
]


def device_log(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    at = moment - timedelta(hours=2)
    while True:
        at += timedelta(milliseconds=fake.random.randint(3, 40_000))
        line = fake.numerify(fake.random.choice(LOG_LINES))
        yield f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} {line}"


def browser_console(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    at = moment - timedelta(minutes=10)
    pages = ["orders", "invoices", "users", "devices", "session", "settings", "notifications"]
    while True:
        at += timedelta(milliseconds=fake.random.randint(20, 9000))
        url = f"https://portal.example.com/api/{fake.random.choice(pages)}"
        milliseconds = fake.random.randint(20, 30_000)
        answer = fake.random.choice(["200", "200", "304", "401", "502", "504", "cancelled"])
        page = fake.random.randint(1, 90)
        yield f"[{at:%H:%M:%S}] GET {url}?page={page} {answer} {milliseconds} ms"
        if answer == "401":
            yield f"[{at:%H:%M:%S}] Session {fake.hexify('^' * 12)} is not known, sending to /login"
        if answer in ("502", "504"):
            place = f"app.{fake.hexify('^' * 8)}.js:1:{fake.random.randint(1000, 90_000)}"
            yield f"Uncaught (in promise) TypeError: items is undefined\n    at {place}"


def traceback(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    files = ["sync/orders.py", "sync/stock.py", "sync/client.py", "jobs/nightly.py"]
    calls = ["run", "push_orders", "read_stock", "send", "try_again", "check", "to_json", "save"]
    errors = [
        "TimeoutError: no answer within 30 seconds",
        "KeyError: 'delivery_date'",
        "ValueError: '12,90' is not a number",
        "ConnectionResetError: connection reset by peer",
        "HTTPError: 429 too many requests",
    ]
    while True:
        yield f"{moment:%Y-%m-%d} order {fake.random.randint(10_000, 99_999)}"
        yield "Traceback (most recent call last):"
        for _ in range(fake.random.randint(3, 7)):
            called, call = fake.random.sample(calls, 2)
            line = fake.random.randint(10, 400)
            yield f'  File "/srv/{fake.random.choice(files)}", line {line}, in {called}'
            yield f"    return {call}(order, tries={fake.random.randint(1, 9)})"
        yield fake.random.choice(errors)
        yield ""


def webhooks(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    at = moment - timedelta(hours=8)
    while True:
        event = {
            "id": f"evt_{fake.hexify('^' * 10)}",
            "type": fake.random.choice(["order.created", "order.paid", "order.sent", "stock.low"]),
            "order": fake.random.randint(10_000, 99_999),
        }
        for attempt in range(1, fake.random.randint(2, 4)):
            at += timedelta(seconds=fake.random.randint(10, 600))
            sent = {"attempt": attempt, "sent_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
            yield json.dumps(event | sent)


def pings(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    address = f"203.0.113.{fake.random.randint(1, 254)}"
    yield f"PING portal.example.com ({address}): 56 data bytes"
    number = 0
    while True:
        number += 1
        if fake.random.random() < 0.2:
            yield f"Request timeout for icmp_seq {number}"
        else:
            milliseconds = fake.random.lognormvariate(4, 1)
            yield f"64 bytes from {address}: icmp_seq={number} ttl=54 time={milliseconds:.1f} ms"


def table_rows(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    yield "order;ordered_at;city;item;pieces;amount"
    at = moment - timedelta(days=30)
    while True:
        at += timedelta(minutes=fake.random.randint(1, 600))
        number, pieces = fake.random.randint(10_000, 99_999), fake.random.randint(1, 40)
        item, price = fake.random.choice(list(PRICES.items()))
        yield f"{number};{at:%Y-%m-%d %H:%M};{fake.city()};{item};{pieces};{pieces * price:.2f}"


def order_list(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    while True:
        item, price = fake.random.choice(list(PRICES.items()))
        pieces = fake.random.randint(1, 24)
        department = fake.random.choice(DEPARTMENTS)
        yield f"{pieces:>3} x {item:<28} {price:>7.2f} {pieces * price:>9.2f}   {department}"


def statement(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    at = moment - timedelta(days=120)
    while True:
        at += timedelta(hours=fake.random.randint(2, 60))
        kind = fake.random.choice(["CARD", "CARD", "TRANSFER", "DIRECT DEBIT", "REFUND"])
        text = fake.random.choice(["ORDER", "INVOICE", "SERVICE PLAN", "SPARE PARTS"])
        amount = fake.random.randint(490, 89_900) / 100
        sign = "+" if kind == "REFUND" else "-"
        number = fake.random.randint(10_000, 99_999)
        yield f"{at:%d.%m.%Y}  {kind:<13} {text:<13} {number}  {sign}{amount:>8.2f}"


def people(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    while True:
        first, last = fake.first_name(), fake.last_name()
        mail = f"{first}.{last}@example.org".lower()
        day = full_day(moment + timedelta(days=fake.random.randint(3, 60)))
        yield f"- {first} {last}, {mail}, {fake.random.choice(DEPARTMENTS)}, from {day}"


def inventory(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    while True:
        serial = fake.bothify("??-######").upper()
        bought = moment - timedelta(days=fake.random.randint(100, 1500))
        state = fake.random.choice(["fine", "fine", "fine", "loud", "slow", "scratched"])
        room = f"{fake.random.randint(0, 4)}.{fake.random.randint(1, 40):02}"
        product = fake.random.choice(PRODUCTS)
        yield f"{room} | {product:<24} | {serial} | bought {bought:%m/%Y} | {state}"


def tracking(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    at = moment - timedelta(days=9)
    events = [
        "Parcel sorted",
        "Loaded into the van",
        "Arrived at the depot",
        "Left the depot",
        "The recipient was not there",
        "The address is being checked",
        "Waiting for the next van",
        "Sent on to another depot",
        "The label cannot be read",
        "The delivery day has changed",
    ]
    while True:
        at += timedelta(minutes=fake.random.randint(10, 400))
        yield f"{full_day(at)}, {at:%H:%M}   {fake.city()}: {fake.random.choice(events)}"


SETTINGS = [
    "server = 192.0.2.%#",
    "port = %###",
    "folder = /transfer/%##",
    "timeout = %# s",
    "standby = %# min",
    "retries = %",
    "language = English",
    "paper = A4",
    "colour = automatic",
    "contrast = %# percent",
]


def settings(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    sections = ["mail", "print", "scan", "network", "users", "reports", "backup", "panel", "power"]
    for section in shuffled(fake, sections):
        yield f"[{section}]"
        for profile in fake.random.sample(range(1, 90), 6):
            for setting in fake.random.sample(SETTINGS, 5):
                yield f"profile_{profile}.{fake.numerify(setting)}"


DIARY = [
    "Switched it off and on again. Same.",
    "Unplugged it for five minutes. Same.",
    "Tried another socket, in another room. It held for an hour, then the same.",
    "Read the manual, chapter 7. It does what the manual says, until it doesn't.",
    "Worked the whole morning. Nobody touched it.",
    "Swapped the cable for a new one. No change.",
    "Asked next door: theirs is fine, and it has the same version.",
    "Cleaned it as the video shows. A little better, I think.",
    "Fault again, this time with a short beep before.",
    "Fault again, no beep.",
    "Two faults within ten minutes. Then quiet until the evening.",
    "Reset to factory settings and set it up anew. That took an hour.",
    "First try after the reset: perfect. Second try: the same fault.",
    "Moved it away from the window, in case it is the sun.",
    "It was cold in the office. It seems to like that.",
    "Changed the language to English and back. Somebody on a forum swore by it. No.",
    "The light on the left side blinks twice, then stays orange.",
    "The light is green, and still nothing comes out.",
    "Installed the update. The version says so, too.",
    "After the update it takes longer to start, about two minutes.",
    "Called your hotline. A kind person told me to write it all down, so here I am.",
    "A colleague pressed all buttons at once. We asked him not to do that again.",
    "Ran the self test: passed, passed, passed, not available.",
    "Nothing at all today, I had almost forgotten about it.",
    "Same fault, right in the middle of a customer meeting.",
    "Tried with the other power supply, which came with the older one. Same.",
    "Turned off the power saving. It lasted two hours longer than usual.",
    "Took a short film with my phone. I can send it if you tell me where to.",
    "Weighed down the lid with a book. It helps, but that cannot be the answer.",
    "Put a note on it: please do not use. Somebody used it.",
]


def diary(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    minutes = -9 * WORKING_DAY
    for text in shuffled(fake, DIARY):
        minutes += fake.random.randint(5, 350)
        at = at_work(moment, minutes)
        yield f"{full_day(at)}, {at:%H:%M}: {text}"


CUSTOMER_MAILS = [
    "The sticker says {serial}. It was a bit hard to read, the last digit may be a 3 or an 8.",
    "I have looked at it with a colleague. On our side everything is as it should be, so we would "
    "like to see it on yours. Would {due} suit you?",
    "That day does not suit us, as half of the team is at a fair. Any day after that is fine, "
    "best in the morning.",
    "About {order}. The other one is settled, thank you for that.",
    "May I ask for an update? Our management meets on {due} and will certainly ask me.",
    "No problem, we can wait a few days. We only need to know whether to plan without it.",
    "We have talked about it in our team. Three of us would rather keep the old one, two would "
    "rather have the new one, and one would like a window seat.",
    "It is in the portal now. It was too large for the mail, which I did not notice.",
    "One more question, as you are at it: does the service plan cover this, or will there be an "
    "invoice? Last time it was covered.",
    "Good to hear. Then please go ahead. Somebody will open the door, the bell does not work.",
    "We tried what you wrote. Step 1 to 3 went well. At step 4 the button that you speak of is not "
    "there, neither for me nor for the colleague next to me.",
    "Now I see it. I pressed it, and it says that it needs up to one working day. I keep my "
    "fingers crossed.",
    "A day has gone by and it still says the same. Shall I press it again, or better not?",
    "Sorry for the silence, I was on holiday. Has anything happened in the meantime? I could not "
    "find anything in my mailbox, but there is a lot in it.",
    "Agreed. Until then we write down whenever something looks odd. So far: nothing.",
    "I spoke too soon. It has happened again, on {day}, shortly after {time}. The same message, "
    "and the same number in it: {reference}.",
    "Yes, {browser}, on {system}. In another browser it is the same, only slower.",
    "Thanks for the call. For the record, we agreed that you send us a replacement for the "
    "{other_product} and that we keep the {product} until it has arrived.",
    "Please do not close this yet. We are not sure that everybody here has tried it.",
    "I do not find the list in your mail. Could it be that it was left out?",
    "We now have a meeting about this every week. It would be nice to have one less.",
]
SUPPORT_MAILS = [
    "Thanks for the quick answer. I have passed it on to a colleague who knows more about this "
    "than I do, and who is back in the office on {due}.",
    "Could you send me the number on the sticker below the {product}? It starts with two letters.",
    "Just to be sure that we talk about the same thing: is this about order {order} or about the "
    "one before it? Both went to {city}.",
    "I am sorry that this takes so long. The warehouse has to confirm it first, and they have been "
    "stocktaking since {day}.",
    "I did not get the attachment. Could you send it once more, or put it into the portal under "
    "reference {reference}?",
    "Got it, thank you. I will come back to you when I have read it, at the latest on {due}.",
    "It is covered. You will not get an invoice for this, and if one comes nevertheless, send it "
    "to me and I will see to it.",
    "That button is only there for administrators. I have given you the right for a week. Please "
    "log out and in again, and it should be there.",
    "Better not. I can see from here that it is in the queue, behind a large one that should be "
    "through tonight.",
    "In short: the part has come, it has been built in, and it has run for two days. We would like "
    "to watch it until {due} before we call it done.",
    "Thank you for the number, it helps a lot. I have found the place in our records and have "
    "given it to the people who built this.",
    "They have asked me whether you use {browser} and whether it also happens in another browser.",
    "Could we have a short call? I believe that ten minutes would spare us ten mails. I am free on "
    "{due}, all day but for lunch.",
    "Let us do that. I will call you at {time}. Please have the {product} within reach, and a cup "
    "of tea.",
    "Nothing new yet, I only write so that you know that I have not forgotten you.",
    "I have tried it here with the same {product}, and for me it works. So there must be a "
    "difference between us, and I would like to find it.",
    "Your list has arrived. I have sorted it by room, which makes it easier for both of us.",
    "My colleague in the warehouse has found one more. It is yours if you still want it.",
    "I have moved this to the top of our list. You should see something happen by {due}.",
    "Please find below what we know so far. It is not much, but it is in order.",
]


def mail_thread(fake: Faker, facts: Facts, moment: datetime) -> Iterator[str]:
    """Yield the mails that went before, the newest first."""
    minutes = 0
    for mails in zip(shuffled(fake, SUPPORT_MAILS), shuffled(fake, CUSTOMER_MAILS), strict=False):
        customer = fake.random.choice([facts["name"], facts["colleague"]])
        for writer, mail in zip([f"{facts['agent']} (support)", customer], mails, strict=True):
            minutes -= fake.random.randint(20, WORKING_DAY)
            at = at_work(moment, minutes)
            yield f"On {full_day(at)}, at {at:%H:%M}, {writer} wrote:"
            yield textwrap.indent(textwrap.fill(mail.format(**facts), 76), "> ")
            yield ""


def shuffled(fake: Faker, texts: list[str]) -> list[str]:
    return list(fake.random.sample(texts, len(texts)))


def at_work(moment: datetime, minutes: int) -> datetime:
    """Return when so many working minutes have gone by since the morning of this moment."""
    days, rest = divmod(minutes, WORKING_DAY)
    return moment.replace(hour=8, minute=0) + timedelta(days=days, minutes=rest)


def full_day(moment: datetime) -> str:
    """Return a day as people write it: Tuesday 3 November."""
    return f"{moment:%A} {moment.day} {moment:%B}"
