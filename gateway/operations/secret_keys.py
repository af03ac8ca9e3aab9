"""The key that encrypts secrets at rest, exchanged for another while gateways run.

The new key is on disk, beside the old one, before the first value is encrypted with it, and the old one stays beside
it afterwards: at no moment is there a stored value whose key is gone, and a running gateway that meets a value of the
other key finds that key by looking again (gateway.secrets.Vault).
"""

import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.errors import RequestInvalidError, SecretKeyError
from gateway.secrets import MIN_KEY_CHARS, NEW, OLD, Vault, key_file, new_key, write_key
from gateway.settings import Settings
from storage import Store


class SecretKeys:
    """The rotation of the secret key."""

    def __init__(self, settings: Settings, store: Store, vault: Vault, now: Callable[[], datetime]) -> None:
        self._settings, self._store, self._vault, self._now = settings, store, vault, now

    async def rotate(self, *, new: str | None = None, actor: str) -> dict[str, Any]:
        """Encrypt every secret with a new key, which is made where none is given.

        With a key file it is exchanged and running gateways follow; where the key is a setting, gateways must be
        stopped before, and the setting changed after (`restart` is True). A rotation that was cut short is taken up
        with the key it had begun with. Raises RequestInvalidError, SecretKeyError.
        """
        if new is not None and len(new) < 2 * MIN_KEY_CHARS:
            msg = f"a secret key needs at least {2 * MIN_KEY_CHARS} characters"
            raise RequestInvalidError(msg)
        path = key_file(self._settings)
        if path is None and new is None:
            msg = "the key is a setting: give the new one, then change LEDGERGATE_SECRET_KEY to it"
            raise RequestInvalidError(msg)
        rewritten = await (self._rotate_file(path, new) if path is not None else self._rewrite(new or ""))
        await self._audit(actor, "secret_key.rotated", rewritten)
        return {"rewritten": rewritten, "key_file": str(path) if path else None, "restart": path is None}

    async def finish(self, *, actor: str) -> dict[str, Any]:
        """Encrypt with the current key what a gateway has written with the old one meanwhile; remove the old key.

        To be called once every gateway runs on the new key. Raises RequestInvalidError, SecretKeyError.
        """
        path = key_file(self._settings)
        old = path.with_name(path.name + OLD) if path else None
        if path is None or old is None or not old.exists():
            msg = "there is no old key file to remove"
            raise RequestInvalidError(msg)
        if path.with_name(path.name + NEW).exists():
            msg = "a rotation was cut short: run `ledgergate secret rotate-key` first"
            raise RequestInvalidError(msg)
        rewritten = await self._rewrite(path.read_text("utf-8").strip())
        old.unlink()
        _sync(path.parent)
        await self._audit(actor, "secret_key.old_removed", rewritten)
        return {"rewritten": rewritten, "key_file": str(path), "restart": False}

    async def _rotate_file(self, path: Path, new: str | None) -> int:
        following, old = path.with_name(path.name + NEW), path.with_name(path.name + OLD)
        if following.exists():
            # Values may be encrypted with this key already: no other may take its place.
            text = following.read_text("utf-8").strip()
            if new is not None and new != text:
                msg = f"a rotation with another key was cut short: {following.name} holds it; run without a key first"
                raise RequestInvalidError(msg)
        else:
            text = new or new_key()
            write_key(following, text)
            _sync(path.parent)
        rewritten = await self._rewrite(text)
        shutil.copyfile(path, _private(old))
        following.replace(path)
        _sync(path.parent)
        return rewritten

    async def _rewrite(self, text: str) -> int:
        fresh = Vault(text)
        rewritten = await self._vault.replace_by(fresh, self._store)
        try:
            await fresh.prove(self._store)
        except SecretKeyError as error:
            msg = "the database does not take the new key; nothing was removed"
            raise SecretKeyError(msg) from error
        return rewritten

    async def _audit(self, actor: str, action: str, rewritten: int) -> None:
        await self._store.add_audit(
            actor=actor, action=action, subject="secret key", detail={"rewritten": rewritten}, now=self._now()
        )


def _private(path: Path) -> Path:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    return path


def _sync(directory: Path) -> None:
    """Make renames durable, where directories can be synced."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # not on Windows
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
