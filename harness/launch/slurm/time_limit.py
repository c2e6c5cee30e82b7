"""Convert a job's time limit between Slurm's form and seconds."""

import re

_DAYS = re.compile(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?")
_MINUTES = re.compile(r"(\d+)(?::(\d+))?")
_HOURS = re.compile(r"(\d+):(\d+):(\d+)")

ALLOWED = "MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS or DAYS-HOURS[:MINUTES[:SECONDS]]"


def parse_time_limit_s(text: str) -> int:
    """`"00:20:00"` → 1200; all of sbatch's own forms. ValueError says what is allowed."""
    if match := _DAYS.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    elif match := _HOURS.fullmatch(text):
        days, (hours, minutes, seconds) = 0, (int(part) for part in match.groups())
    elif match := _MINUTES.fullmatch(text):
        days, hours, (minutes, seconds) = 0, 0, (int(part or 0) for part in match.groups())
    else:
        raise ValueError(ALLOWED)
    limit_s = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if limit_s == 0:
        raise ValueError("more than no time at all")
    return limit_s


def show_time_limit(limit_s: int) -> str:
    """`1200` → `"00:20:00"`, `129600` → `"1-12:00:00"`."""
    minutes, seconds = divmod(limit_s, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{days}-{clock}" if days else clock
