"""A step that is served, and starts again when its code changes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from watchfiles import PythonFilter, watch

from .processes import OWN_SESSION, end_recorded, record


def serve(command: list[str], code: Path, records: Path, **options: Any) -> int:
    """Run a command with subprocess.Popen's options, and again whenever code in the folder changes.

    If it ends by itself before the first edit, return its status. Later, wait for the next edit.
    It may record processes in the folder of records. They end with it.
    """
    edits = watch(code, watch_filter=PythonFilter(), rust_timeout=100, yield_on_timeout=True)
    next(edits)  # from now on, no edit is missed; without an edit, an empty set comes every 100 ms
    edited = False
    while True:
        try:
            service = subprocess.Popen(command, **OWN_SESSION, **options)
            record(records, service.pid)
            while not (edit := next(edits)) and service.poll() is None:
                pass
            if not edit and not edited:
                return service.returncode
            if not edit:
                print("The step has ended. It starts again when you edit it", file=sys.stderr)
                while not next(edits):
                    pass
        finally:
            end_recorded(records)
        service.wait()
        edited = True
