"""How hard a test run tries: for seconds while you write, for minutes before a merge, or longer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lane:
    """How often to try each kind of thing that chance decides."""

    schedules: int  # of the simulation
    runs: int  # of the steps in lock-step
    rules: int  # in each of those
    cases: int  # for each route of the published interface
    races: int  # of each kind
    kills: int  # of a service under load
    megabytes: int  # to write until MongoDB forgets the beginning of its log
    round: float  # seconds until an idle projector looks after its position
    first_starts: int  # of eight workers at once
    failovers: int  # of a replica set


LANES = {
    # Without a real mongod and without processes, to be run while you write.
    "quick": Lane(
        schedules=200,
        runs=5,
        rules=20,
        cases=5,
        races=0,
        kills=0,
        megabytes=0,
        round=0,
        first_starts=0,
        failovers=0,
    ),
    "full": Lane(
        schedules=3_000,
        runs=40,
        rules=25,
        cases=20,
        races=100,
        kills=2,
        megabytes=0,
        round=0.3,
        first_starts=1,
        failovers=1,
    ),
    "long": Lane(
        schedules=30_000,
        runs=400,
        rules=30,
        cases=200,
        races=1_000,
        kills=20,
        megabytes=400,
        round=2,
        first_starts=20,
        failovers=5,
    ),
}
