"""How hard a test run tries: seconds while writing, minutes before a merge, more now and then."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lane:
    """What chance decides is tried this often."""

    schedules: int  # of the simulation
    runs: int  # of the steps in lock-step
    rules: int  # in each of those
    cases: int  # for each route of the published interface
    kills: int  # of a service under load


LANES = {
    # Without a real mongod and without processes: what one runs while writing.
    "quick": Lane(schedules=200, runs=5, rules=20, cases=5, kills=0),
    "full": Lane(schedules=3_000, runs=100, rules=30, cases=25, kills=20),
    "long": Lane(schedules=30_000, runs=300, rules=50, cases=250, kills=100),
}
