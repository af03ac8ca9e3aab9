"""Ports that a test names before anybody listens on them, and that nobody else can get meanwhile."""

import socket


class ReservedPort:
    """A port of this machine, kept until `release`: for a service that starts later, and again after it was killed.

    The port of a socket that was closed may go to anybody, such as to the near end of some connection. This one is held
    by a socket that does not listen: whoever asks for any free port does not get it, and whoever asks for this one with
    SO_REUSEADDR, as servers do, does (Linux: ip(7), socket(7)).
    """

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.number = int(self._held.getsockname()[1])

    def release(self) -> None:
        """Let others have it."""
        self._held.close()
