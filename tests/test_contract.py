from fastapi.testclient import TestClient


def test_smoke(http: TestClient) -> None:
    r = http.post("/tickets", json={"customer_id": "c", "subject": "s", "message": "m"})
    assert r.status_code == 201
    assert http.get(r.headers["Location"]).json() == r.json()
    assert len(http.get("/tickets").json()) == 1
