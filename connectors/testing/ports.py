"""Ports that are named before anybody listens on them, and that nobody else can get meanwhile."""

import socket
import weakref


class ReservedPort:
    """A port of this machine, kept until `release`: for a service that starts later, and again after it was down.

    The port of a socket that was closed may go to anybody, such as to the near end of some connection. This one is held
    by a socket that does not listen: whoever asks for any free port does not get it, and whoever asks for this one with
    SO_REUSEADDR, as servers do, does (Linux: ip(7), socket(7)). Forgetting the object releases the port too.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, 0))
        self.number = int(held.getsockname()[1])
        self._release = weakref.finalize(self, held.close)

    def release(self) -> None:
        """Let others have it."""
        self._release()
