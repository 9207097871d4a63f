"""The contract: what the OpenAPI document declares, and what it does not."""

import importlib

from fastapi.testclient import TestClient

from ..support.servers import STEPS

ANSWERS = {
    "post /tickets": {"201", "400", "413", "422", "503"},
    "patch /tickets/{ticket_id}": {"200", "400", "404", "409", "413", "422", "503"},
    "post /tickets/{ticket_id}/status": {"204", "400", "404", "409", "413", "422", "503"},
    "post /tickets/{ticket_id}/agent-note": {"204", "400", "404", "413", "422", "503"},
    "get /tickets/{ticket_id}": {"200", "404", "413", "422", "503"},
    "get /tickets": {"200", "413", "422", "503"},
    "get /dashboard": {"200", "413", "503"},
}


def openapi_of(step: str) -> bytes:
    # Outside a `with` block the step does not start. It needs no MongoDB to say what it offers.
    return TestClient(importlib.import_module(f"{step}.main").app).get("/openapi.json").content


def test_the_routes_are_those_of_the_contract_and_every_answer_is_declared(step: str) -> None:
    app = TestClient(importlib.import_module(f"{step}.main").app)
    declared = {
        f"{method} {path}": set(operation["responses"])
        for path, operations in app.get("/openapi.json").json()["paths"].items()
        for method, operation in operations.items()
    }
    assert declared.keys() == ANSWERS.keys()
    for route, statuses in ANSWERS.items():
        assert statuses <= declared[route], route


def test_the_openapi_documents_of_the_steps_are_identical() -> None:
    assert {openapi_of(step) for step in STEPS} == {openapi_of(STEPS[0])}


def test_the_header_prefer_is_not_declared(step: str) -> None:
    assert b"prefer" not in openapi_of(step).lower()
