"""Whether a stream is a terminal that takes colours and bold type, and nobody has said no."""

import os
from typing import TextIO


def styled(stream: TextIO) -> bool:
    """Whether to style what is written there: nothing at all of it under `NO_COLOR` (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
