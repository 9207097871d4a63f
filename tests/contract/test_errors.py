"""The contract: how each kind of wrong request is answered, and that none changes anything."""

import json
from collections.abc import Iterator
from itertools import product

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from ..support.requests import (
    UNKNOWN_ID,
    Command,
    Json,
    all_commands,
    assert_refused,
    commands_on,
    create,
    patch,
    read_everything,
)

MIB = 1024 * 1024
DEEP = 100_000


@pytest.fixture
def ticket(http: TestClient) -> Iterator[Json]:
    """A ticket that must be alone and unchanged after all that the test sends."""
    ticket = create(http)
    before = read_everything(http)
    yield ticket
    assert read_everything(http) == before


def send_raw(
    http: TestClient,
    command: Command,
    content: bytes | Iterator[bytes],
    content_type: str | None = "application/json",
) -> Response:
    method, path, _ = command
    headers = {"Content-Type": content_type} if content_type is not None else {}
    return http.request(method, path, content=content, headers=headers)


def bodies_with(command: Command, value: bytes) -> Iterator[bytes]:
    """The command's body, each time with the value in another field, at last in an extra field."""
    _, _, body = command
    for field in [*body, "another"]:
        yield json.dumps(body | {field: "HERE"}).encode().replace(b'"HERE"', value)


def test_an_unknown_id_is_404_on_every_route(http: TestClient, ticket: Json) -> None:
    answers = [http.get(f"/tickets/{UNKNOWN_ID}")]
    for method, path, body in commands_on(UNKNOWN_ID):
        answers.append(http.request(method, path, json=body))
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Ticket not found"}


def test_a_malformed_id_is_422_on_every_route(http: TestClient, ticket: Json) -> None:
    first_23 = ticket["id"][:23]
    for malformed in (
        ticket["id"].upper(),
        first_23,
        ticket["id"] + "0",
        ticket["id"] + "%0A",
        "%20" + ticket["id"],
        first_23 + "g",
        first_23 + "%00",
        first_23 + "%FF",
        first_23 + "%ED%A0%80",
        first_23 + "\N{FULLWIDTH DIGIT ONE}",
        "null",
        "1",
        "9" * 5_000,
    ):
        assert_refused(http.get(f"/tickets/{malformed}"), 422)
        for method, path, body in commands_on(malformed):
            assert_refused(http.request(method, path, json=body), 422)


def test_a_missing_field_is_422(http: TestClient, ticket: Json) -> None:
    for method, path, body in all_commands(ticket["id"]):
        assert_refused(http.request(method, path, json={}), 422)
        for field in body if method == "POST" else ():
            rest = {name: value for name, value in body.items() if name != field}
            assert_refused(http.request(method, path, json=rest), 422)
            assert_refused(http.request(method, path, json=rest | {field: None}), 422)


def test_an_unknown_field_is_422(http: TestClient, ticket: Json) -> None:
    names = ["another", "id", "_id", "created_at", "version", "subject ", "Status", "", "\0"]
    for method, path, body in all_commands(ticket["id"]):
        for name in names:
            assert_refused(http.request(method, path, json=body | {name: "open"}), 422)


def test_a_mistyped_field_is_422(http: TestClient, ticket: Json) -> None:
    values: list[object] = [1, 1.5, True, ["open"], {"$ne": "closed"}]
    for method, path, body in all_commands(ticket["id"]):
        for field, value in product(body, values):
            assert_refused(http.request(method, path, json=body | {field: value}), 422)


def test_a_status_that_is_none_of_the_three_is_422(http: TestClient, ticket: Json) -> None:
    path = f"/tickets/{ticket['id']}"
    for status in "", "Open", "OPEN", " triaged", "closed\0", "reopened":
        assert_refused(http.patch(path, json={"status": status}), 422)
        assert_refused(http.post(f"{path}/status", json={"new_status": status}), 422)


def test_a_number_that_is_none_is_422(http: TestClient, ticket: Json) -> None:
    values = [b"NaN", b"Infinity", b"-Infinity", b"1e999"]
    for command, value in product(all_commands(ticket["id"]), values):
        for content in bodies_with(command, value):
            assert_refused(send_raw(http, command, content), 422)


def test_a_lone_surrogate_is_422(http: TestClient, ticket: Json) -> None:
    values = [rb'"\ud800"', rb'"x\udfffx"', rb'"\udc00\ud800"', rb'["\ud800"]', rb'{"\ud800": 1}']
    for command, value in product(all_commands(ticket["id"]), values):
        for content in bodies_with(command, value):
            assert_refused(send_raw(http, command, content), 422)


def test_a_lone_surrogate_in_the_name_of_a_field_is_422(http: TestClient, ticket: Json) -> None:
    for command in all_commands(ticket["id"]):
        for name in "\ud800", "another\udfff":
            content = json.dumps(command[2] | {name: "x"}).encode()
            assert rb"\ud" in content
            assert_refused(send_raw(http, command, content), 422)


def test_a_body_that_is_no_json_object_is_422(http: TestClient, ticket: Json) -> None:
    no_json = [b"", b" ", b"{", b"{}}", b"\0", b"note=x", b"{'note': 'x'}", b'{"note": "x",}']
    no_object = [b"null", b"true", b"5", b"NaN", b"[]", b'"note"', rb'"\ud800"', b'[{"note": "x"}]']
    for command, content in product(all_commands(ticket["id"]), no_json + no_object):
        assert_refused(send_raw(http, command, content), 422)


def test_a_body_that_cannot_be_decoded_is_400_or_422(http: TestClient, ticket: Json) -> None:
    not_utf_8 = [b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"']
    deep = [b"[" * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP]
    long_numbers = [b"9" * 5_000, b"-" + b"9" * 5_000]
    values = [*not_utf_8, *deep, *long_numbers]
    for command, value in product(all_commands(ticket["id"]), values):
        for content in [value, *bodies_with(command, value)]:
            assert_refused(send_raw(http, command, content), 400, 422)


def test_a_body_needs_the_content_type_of_json(http: TestClient, ticket: Json) -> None:
    types = [None, "", "json", "text/plain", "text/json", "application/x-www-form-urlencoded"]
    for command, content_type in product(all_commands(ticket["id"]), types):
        content = json.dumps(command[2]).encode()
        assert_refused(send_raw(http, command, content, content_type), 422)


def test_the_content_type_may_name_the_charset(http: TestClient) -> None:
    for command in all_commands(create(http)["id"]):
        content = json.dumps(command[2]).encode()
        content_type = "application/json; charset=utf-8"
        assert send_raw(http, command, content, content_type).is_success


def test_a_body_of_more_than_1_mib_is_413(http: TestClient, ticket: Json) -> None:
    for path in "/tickets", f"/tickets/{ticket['id']}", "/dashboard":
        assert http.request("GET", path, content=b" " * (MIB + 1)).status_code == 413
    for command in all_commands(ticket["id"]):
        content = json.dumps(command[2]).encode()
        too_large = content.ljust(MIB + 1)
        assert send_raw(http, command, too_large).status_code == 413
        in_chunks = iter([too_large[:MIB], too_large[MIB:]])
        assert send_raw(http, command, in_chunks).status_code == 413


def test_a_body_of_1_mib_is_read(http: TestClient) -> None:
    for command in all_commands(create(http)["id"]):
        content = json.dumps(command[2]).encode().ljust(MIB)
        assert send_raw(http, command, content).is_success
        in_chunks = iter([content[:-1], content[-1:]])
        assert send_raw(http, command, in_chunks).is_success


def test_422_comes_before_404(http: TestClient, ticket: Json) -> None:
    for method, path, body in commands_on(UNKNOWN_ID):
        assert_refused(http.request(method, path, json={}), 422)
        assert_refused(http.request(method, path, json=body | {"another": "x"}), 422)
        assert_refused(send_raw(http, (method, path, body), b"not JSON"), 422)
    assert_refused(http.patch(f"/tickets/{UNKNOWN_ID}", json={"status": None}), 422)


def test_422_comes_before_409(http: TestClient) -> None:
    path = f"/tickets/{patch(http, create(http), status='closed')['id']}"
    before = read_everything(http)
    for body in {"status": "open", "agent_note": 5}, {"status": "open", "another": "x"}:
        assert_refused(http.patch(path, json=body), 422)
    body = {"new_status": "open", "another": "x"}
    assert_refused(http.post(f"{path}/status", json=body), 422)
    assert read_everything(http) == before
