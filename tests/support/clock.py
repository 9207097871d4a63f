"""The clock of a step that runs in the process of the test."""

import sys
from datetime import datetime, tzinfo
from types import ModuleType

from pytest import MonkeyPatch


def stop_clock(step: str, moment: datetime, monkeypatch: MonkeyPatch) -> None:
    """Let it be this moment for a step, until the test ends or sets the clock once more."""

    class Stopped(datetime):
        @classmethod
        # The steps only need a datetime, where datetime.now promises one of its own class.
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    for name, module in list(sys.modules.items()):
        if name.startswith(f"{step}.") and tells_the_time(module):
            monkeypatch.setattr(module, "datetime", Stopped)


def tells_the_time(module: ModuleType) -> bool:
    named = getattr(module, "datetime", None)
    return isinstance(named, type) and issubclass(named, datetime)
