"""A process that dies at a write to MongoDB, as if it were killed there.

python -m tests.support.dying before 2 "insert tickets" uvicorn step_04_full_cqrs.main:app

dies before its second write, counted from the first insert into `tickets`. With `paused` instead
of `before`, it does not die: it stops there until it gets SIGCONT.
"""

import os
import runpy
import signal
import sys

from pymongo import monitoring

WRITES = {"insert", "update", "delete", "findAndModify", "create", "collMod", "createIndexes"}


class Death(monitoring.CommandListener):
    def __init__(self, moment: str, number: int, first: str) -> None:
        self._moment = moment
        self._number = number
        self._first = first
        self._requests: list[int] = []
        self._name = ""  # of the fatal write

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        name = f"{event.command_name} {event.command[event.command_name]}"
        if event.command_name in WRITES and (self._requests or name == self._first):
            self._requests.append(event.request_id)
            if len(self._requests) == self._number:
                self._name = name
                self._die_if("before")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if self._name and event.request_id == self._requests[self._number - 1]:
            self._die_if("after")

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass

    def _die_if(self, moment: str) -> None:
        if moment == "before" and self._moment == "paused":
            print(f"Paused before {self._name}", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        if moment == self._moment:
            print(f"Died {moment} {self._name}", flush=True)
            os._exit(70)


if __name__ == "__main__":
    _, moment, number, first, module, *arguments = sys.argv
    monitoring.register(Death(moment, int(number), first))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
