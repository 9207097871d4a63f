"""The contract: what the OpenAPI document declares, and what it does not."""

from fastapi.testclient import TestClient

ANSWERS = {
    "post /tickets": {"201", "400", "413", "422", "503"},
    "patch /tickets/{ticket_id}": {"200", "400", "404", "409", "413", "422", "503"},
    "post /tickets/{ticket_id}/status": {"204", "400", "404", "409", "413", "422", "503"},
    "post /tickets/{ticket_id}/agent-note": {"204", "400", "404", "413", "422", "503"},
    "get /tickets/{ticket_id}": {"200", "404", "413", "422", "503"},
    "get /tickets": {"200", "413", "422", "503"},
    "get /dashboard": {"200", "413", "503"},
}


def test_every_answer_of_every_route_is_declared(http: TestClient) -> None:
    declared = {
        f"{method} {path}": set(operation["responses"])
        for path, operations in http.get("/openapi.json").json()["paths"].items()
        for method, operation in operations.items()
    }
    assert declared.keys() >= ANSWERS.keys()
    for route, statuses in ANSWERS.items():
        assert statuses <= declared[route]


def test_the_header_prefer_is_not_declared(http: TestClient) -> None:
    assert "prefer" not in http.get("/openapi.json").text.lower()
