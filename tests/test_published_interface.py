"""The OpenAPI document of each step, taken at its word: schemathesis sends all that it allows."""

import subprocess
import sys
from pathlib import Path

import pytest

from .lanes import Lane
from .servers import serve

NOT_OURS = [
    "allow_header_conformance",  # Starlette names the methods of one route where a path has two
    "positive_data_acceptance",  # no schema of Pydantic's says that one of two fields is needed
    "negative_data_rejection",  # nor that a text is measured when its ends are trimmed
]


@pytest.mark.timeout(1800)
def test_whatever_is_sent_the_answer_is_one_that_the_document_declares(
    step: str, database: str, lane: Lane, tmp_path: Path
) -> None:
    with serve(f"{step}.main:app") as server:
        command = ["-m", "schemathesis.cli", "run", f"{server.http.base_url}/openapi.json"]
        command += ["--max-examples", str(lane.cases), "--exclude-checks", ",".join(NOT_OURS)]
        run = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,  # where it keeps what failed
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stdout
    assert "7 selected / 7 total" in run.stdout
