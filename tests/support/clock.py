"""The clock of a step that runs in the process of the test."""

import sys
from datetime import datetime, tzinfo
from types import ModuleType
from typing import Self

from pytest import MonkeyPatch


def stop_clock(step: str, moment: datetime, monkeypatch: MonkeyPatch) -> None:
    """Let it be this moment for a step, until the test ends or sets the clock again."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            there = moment.astimezone(tz)
            return cls.combine(there.date(), there.timetz())

    for name, module in list(sys.modules.items()):
        if name.startswith(f"{step}.") and tells_the_time(module):
            monkeypatch.setattr(module, "datetime", Stopped)


def tells_the_time(module: ModuleType) -> bool:
    named = getattr(module, "datetime", None)
    return isinstance(named, type) and issubclass(named, datetime)
