class Refusal(Exception):
    """What cannot be done, why, and what to do about it, in one line for people."""
