"""The base of the gateway's own errors."""

from typing import ClassVar

from connectors.errors import Action


class GatewayError(Exception):
    """Base of the gateway's errors. `detail` is for people and holds neither secrets nor personal data."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    cause: ClassVar[str] = "The gateway failed in a way that it does not explain."
    resolution: ClassVar[str] = "Report it with the log line; whatever was acknowledged is kept and can be retried."
    status: ClassVar[int] = 500
    action: ClassVar[Action] = Action.FAIL

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.retry_after = retry_after
