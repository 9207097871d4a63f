"""Schemathesis sends each step what its OpenAPI document allows, and checks the answers."""

import subprocess
import sys
from pathlib import Path

import pytest

from ..support.lanes import Lane
from ..support.servers import serve

# All checks are on, except those that a right answer cannot pass.
CONFIGURATION = """
[checks]
# Two routes share a path, and Starlette names the methods of one of them.
allow_header_conformance.enabled = false

[[operations]]
# Pydantic's schema cannot say that white space is no text, or that one of two fields is needed.
include-name = ["POST /tickets", "PATCH /tickets/{ticket_id}"]
checks.positive_data_acceptance.enabled = false

[[operations]]
# It cannot say either that a text is measured after it is trimmed.
include-name = [
    "POST /tickets", "PATCH /tickets/{ticket_id}", "POST /tickets/{ticket_id}/agent-note",
]
checks.negative_data_rejection.enabled = false
"""


@pytest.mark.timeout(1800)
def test_whatever_is_sent_the_answer_is_one_that_the_document_declares(
    step: str, database: str, lane: Lane, tmp_path: Path
) -> None:
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    with serve(f"{step}.main:app") as server:
        command = ["-m", "schemathesis.cli", "--config-file", str(configuration)]
        command += ["run", f"{server.http.base_url}/openapi.json"]
        run = subprocess.run(
            [sys.executable, *command, "--max-examples", str(lane.cases)],
            cwd=tmp_path,  # it keeps here what failed
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stdout
    assert "7 selected / 7 total" in run.stdout
