"""What all use-cases that change something share: who acts, where, and the note of it in the audit."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage import Store
from storage.records import Scope


def nobody() -> None:
    """Wake nobody: the worker runs in another process and looks by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The store, the clock, and whom to wake when there is work."""

    store: Store
    now: Callable[[], datetime]
    wake: Callable[[], None] = nobody

    async def note(self, actor: str, action: str, subject: str, scope: Scope, detail: dict[str, Any] | None) -> None:
        """Write an audit entry. The detail holds neither secrets nor personal data."""
        await self.store.add_audit(
            actor=actor, action=action, subject=subject, scope=scope, detail=detail or None, now=self.now()
        )
