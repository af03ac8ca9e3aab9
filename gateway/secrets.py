"""Secrets at rest: AES-GCM with a key id, bound to the place where each is stored; and the key that does it."""

import base64
import contextlib
import hashlib
import os
import secrets as randomness
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import SecretKeyError
from gateway.settings import Settings
from storage import Store, sqlite_path

NEW, OLD = ".new", ".old"
"""What the next and the last key's files are called, beside the key file, while and after a rotation."""
MIN_KEY_CHARS = 12
"""As LEDGERGATE_SECRET_KEY."""
_CHECK = "key_check"
_NONCE_BYTES = 12
_KEY_ID_BYTES = 4
_VERSION = b"\x01"


class Vault:
    """Encrypts and decrypts with one key. Values name their key, and cannot be moved to another row or field.

    `look_again` returns the keys there are now, the newest first: it is asked when a value names an unknown key, so
    that a running gateway follows a rotation, and one that was stopped in the middle can go on.
    """

    def __init__(self, key_text: str, *, look_again: Callable[[], Sequence[str]] | None = None) -> None:
        self._look_again = look_again
        self._ciphers: dict[bytes, AESGCM] = {}
        self._materials: dict[bytes, bytes] = {}
        self._key_id = self._add(key_text)

    def __repr__(self) -> str:
        """Show the key's id, never the key."""
        return f"Vault(key_id={self._key_id.hex()})"

    def _add(self, key_text: str) -> bytes:
        material = HKDF(algorithm=SHA256(), length=32, salt=b"ledgergate", info=b"secrets at rest").derive(
            key_text.strip().encode()
        )
        key_id = hashlib.sha256(b"key id" + material).digest()[:_KEY_ID_BYTES]
        self._ciphers[key_id], self._materials[key_id] = AESGCM(material), material
        return key_id

    def _cipher(self, key_id: bytes) -> AESGCM:
        if key_id not in self._ciphers and self._look_again is not None:
            found = [self._add(text) for text in self._look_again()]
            if key_id in self._ciphers:
                self._key_id = found[0]
        if key_id not in self._ciphers:
            msg = "a stored secret was encrypted with another key"
            raise SecretKeyError(msg)
        return self._ciphers[key_id]

    def derive(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for another purpose: it tells nothing of this one, and changes with a rotation."""
        told, material = b"purpose|" + purpose.encode(), self._materials[self._key_id]
        return HKDF(algorithm=SHA256(), length=32, salt=b"ledgergate", info=told).derive(material)

    def encrypt(self, owner: str, field: str, value: str) -> bytes:
        """Return the value encrypted for this place."""
        nonce = randomness.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._key_id].encrypt(nonce, value.encode(), self._place(owner, field))
        return _VERSION + self._key_id + nonce + sealed

    def decrypt(self, owner: str, field: str, value: bytes) -> str:
        """Return what was encrypted for this place. Raises SecretKeyError for another key or place, or a change."""
        head = len(_VERSION) + _KEY_ID_BYTES
        if value[: len(_VERSION)] != _VERSION:
            msg = "a stored secret has a form that this version does not know"
            raise SecretKeyError(msg)
        cipher = self._cipher(value[len(_VERSION) : head])
        nonce, sealed = value[head : head + _NONCE_BYTES], value[head + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, sealed, self._place(owner, field)).decode()
        except InvalidTag as error:
            msg = "a stored secret was changed, or belongs to another place"
            raise SecretKeyError(msg) from error

    @staticmethod
    def _place(owner: str, field: str) -> bytes:
        return f"ledgergate|{owner}|{field}".encode()

    async def prove(self, store: Store) -> None:
        """Check that this key belongs to this database; a new database takes it as its own. Raises SecretKeyError."""
        kept = await store.get_meta(_CHECK)
        if kept is None:
            mine = base64.b64encode(self.encrypt("meta", _CHECK, _CHECK)).decode()
            if await store.put_meta(_CHECK, mine, only_if_absent=True):
                return
            kept = await store.get_meta(_CHECK) or ""
        self.decrypt("meta", _CHECK, base64.b64decode(kept))

    async def replace_by(self, new: "Vault", store: Store) -> int:
        """Encrypt every stored secret anew with another key, in one transaction; return how many."""

        def change(owner: str, field: str, value: bytes) -> bytes:
            return new.encrypt(owner, field, self.decrypt(owner, field, value))

        check = base64.b64encode(new.encrypt("meta", _CHECK, _CHECK)).decode()
        return await store.rewrite_secrets(change, {_CHECK: check})


def key_file(settings: Settings) -> Path | None:
    """Return the file that holds the key, None when the key itself is a setting."""
    if settings.secret_key is not None:
        return None
    if settings.secret_key_file is not None:
        return settings.secret_key_file
    database = sqlite_path(settings.database_url)
    return Path("ledgergate.key") if database is None else database.with_name(database.name + ".key")


def load_vault(settings: Settings) -> Vault:
    """Return the vault, making a key file at the first start. Raises SecretKeyError."""
    if settings.secret_key is not None:
        return Vault(settings.secret_key.get_secret_value())
    path = key_file(settings)
    if path is None:
        raise SecretKeyError
    try:
        text = path.read_text("utf-8").strip() if path.exists() else _make(path)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the key file cannot be read or made: {type(error).__name__}"
        raise SecretKeyError(msg) from error
    if len(text) < MIN_KEY_CHARS:
        msg = "the key file is empty or too short"
        raise SecretKeyError(msg)
    return Vault(text, look_again=lambda: keys_beside(path))


def keys_beside(path: Path) -> list[str]:
    """Return the keys of a file and of a rotation in progress, the newest first: `.new`, the file, `.old`."""
    found = []
    for each in (path.with_name(path.name + NEW), path, path.with_name(path.name + OLD)):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = each.read_text("utf-8").strip()
            if len(text) >= MIN_KEY_CHARS:
                found.append(text)
    return found


def write_key(path: Path, text: str) -> None:
    """Write a key durably, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_key() -> str:
    """Return a new random key."""
    return base64.urlsafe_b64encode(randomness.token_bytes(32)).decode()


def _make(path: Path) -> str:
    """Make the key file; where another process was faster, take its key."""
    text = new_key()
    temporary = path.with_name(f"{path.name}.{randomness.token_hex(4)}")
    write_key(temporary, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        text = path.read_text("utf-8").strip()
    finally:
        temporary.unlink()
    return text
