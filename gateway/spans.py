"""Spans of time in words."""

from datetime import timedelta


def spoken(span: timedelta) -> str:
    """Return a span of time as people say it."""
    seconds = max(0, int(span.total_seconds()))
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (word == "minute" and seconds >= size):
            count = seconds // size
            return f"{count} {word}{'s' if count != 1 else ''}"
    return f"{seconds} seconds"
