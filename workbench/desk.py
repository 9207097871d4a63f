"""The step that the environment names in STEP, and beside its own routes a page to use it with."""

import importlib
import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse

PAGE = Path(__file__).with_name("desk.html")

app: FastAPI = importlib.import_module(f"{os.environ['STEP']}.main").app


@app.get("/desk", include_in_schema=False)
async def get_desk() -> FileResponse:
    return FileResponse(PAGE)
