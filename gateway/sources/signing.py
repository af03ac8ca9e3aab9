"""Whether a delivery was really sent by its source: Standard Webhooks signatures, and static shared headers.

Pure and silent: bytes in, verdict out, the clock is a parameter, nothing is logged. The rules are those of
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md and
https://docs.svix.com/receiving/verifying-payloads/how-manual: the same signed bytes, two families of header names.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy

Headers: TypeAlias = CIMultiDictProxy[str] | CIMultiDict[str]

TOLERANCE_SECONDS = 300
MAX_ID_CHARS = 256
MAX_TIMESTAMP_DIGITS = 12
MAX_SIGNATURES = 16
MIN_KEY_BYTES = 24
MIN_TOKEN_CHARS = 8  # as of the admin key: a sender's token is often one that somebody else has chosen
MIN_INTUIT_CHARS = 16  # Intuit makes them, of twice that and more: a shorter one was cut
INTUIT_HEADER = "intuit-signature"

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what every such secret begins with
_ASYMMETRIC_PREFIXES = ("whpk_", "whsk_")
_VERSION = "v1,"
_SIGNATURE_CHARS = len(_VERSION) + 44  # base64 of the 32 bytes of an HMAC-SHA256, padding included
_FAMILIES = {family: (f"{family}-id", f"{family}-timestamp", f"{family}-signature") for family in ("svix", "webhook")}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, section 5.6.2


class RefusalReason(StrEnum):
    """Why a delivery was refused: for metrics and the quarantine, never for the answer to the sender."""

    HEADERS_MISSING = "headers_missing"
    HEADER_REPEATED = "header_repeated"
    ID_INVALID = "id_invalid"
    TIMESTAMP_INVALID = "timestamp_invalid"
    TIMESTAMP_STALE = "timestamp_stale"
    TIMESTAMP_FUTURE = "timestamp_future"
    SIGNATURE_MALFORMED = "signature_malformed"
    SIGNATURE_MISMATCH = "signature_mismatch"
    TOKEN_MISMATCH = "token_mismatch"  # noqa: S105 - a reason's name, not a token


class SignatureRefusedError(Exception):
    """The delivery is not proven to come from its source. Its text is the reason and nothing else."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class SecretInvalidError(ValueError):
    """A configured secret cannot be used. Its text names the secret's place in the list, never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A delivery that proved its origin."""

    delivery_key: str
    """Repeats carry the same: the id of the family whose signature verified, or the SHA-256 of the body in hex."""
    scheme: str
    """`svix`, `webhook`, `static-header` or `intuit-signature`."""
    secret_index: int
    """Which configured secret matched, from 0, so that a rotation can be watched."""


class Verifier(Protocol):
    """Decides, before anything is parsed, whether a delivery comes from its source."""

    def verify(self, headers: Headers, body: bytes, *, now: float) -> Verified:
        """Check raw `body` and `headers` at Unix time `now`; raises SignatureRefusedError and nothing else."""


class StandardWebhooksVerifier:
    """HMAC-SHA256 signatures under `svix-*` or `webhook-*` headers, by any of several secrets."""

    __slots__ = ("_keyed", "_order", "_tolerance")

    def __init__(self, secrets: Sequence[str], *, tolerance: int = TOLERANCE_SECONDS) -> None:
        """Take secrets as `whsec_<base64>`, prefix and padding optional, and a tolerance in seconds both ways.

        Raises SecretInvalidError for a secret that is no HMAC key of at least 24 bytes, and when there is none.
        """
        _require_some(secrets)
        if tolerance <= 0:
            raise ValueError("the tolerance must be at least one second")
        # Keyed once and copied for each delivery, which is cheaper than hashing the key again.
        self._keyed = [hmac.new(_decode_key(secret, n), digestmod="sha256") for n, secret in enumerate(secrets, 1)]
        self._order = list(range(len(secrets)))
        self._tolerance = tolerance

    def __repr__(self) -> str:
        return f"{type(self).__name__}(secrets={len(self._keyed)}, tolerance={self._tolerance})"

    def verify(self, headers: Headers, body: bytes, *, now: float) -> Verified:
        """Check `body` against each family whose three headers are all there; the first that verifies names the key.

        An incomplete or unsigned family beside a signed one is ignored: whoever relays a delivery may add headers, and
        must not choose its key. If all fail, the reason is that of the first. A header sent twice is refused whatever
        else is there, since the next reader of the request might take the other one. Raises SignatureRefusedError.
        """
        complete = []
        for scheme, (id_name, timestamp_name, signature_name) in _FAMILIES.items():
            if not (id_name in headers or timestamp_name in headers or signature_name in headers):
                continue
            ids = headers.getall(id_name, ())
            timestamps = headers.getall(timestamp_name, ())
            signatures = headers.getall(signature_name, ())
            if len(ids) > 1 or len(timestamps) > 1 or len(signatures) > 1:
                raise SignatureRefusedError(RefusalReason.HEADER_REPEATED)
            if ids and timestamps and signatures:
                complete.append((scheme, ids[0], timestamps[0], signatures[0]))
        refusal = None
        for scheme, message_id, timestamp, signature in complete:
            outcome = self._check(message_id, timestamp, signature, body, now)
            if isinstance(outcome, int):
                return Verified(delivery_key=message_id, scheme=scheme, secret_index=outcome)
            refusal = refusal or outcome
        raise SignatureRefusedError(refusal or RefusalReason.HEADERS_MISSING)

    def _check(self, message_id: str, timestamp: str, signature: str, body: bytes, now: float) -> int | RefusalReason:
        """Return the index of the secret that signed, or why none did."""
        if not _is_message_id(message_id):
            return RefusalReason.ID_INVALID
        # Unicode has other digits, and int() takes signs, spaces and underscores: the signed text must mean one time.
        if not (len(timestamp) <= MAX_TIMESTAMP_DIGITS and timestamp.isascii() and timestamp.isdigit()):
            return RefusalReason.TIMESTAMP_INVALID
        age = now // 1 - int(timestamp)  # in whole seconds, as the sender counts: 300 ago is not yet too old
        if not -self._tolerance <= age <= self._tolerance:
            return RefusalReason.TIMESTAMP_FUTURE if age < 0 else RefusalReason.TIMESTAMP_STALE
        offered = []
        for entry in signature.split(" ", MAX_SIGNATURES)[:MAX_SIGNATURES]:
            # Anything else is another version (v1a) or damaged, and spoils no good entry after it.
            if len(entry) == _SIGNATURE_CHARS and entry.startswith(_VERSION) and entry.isascii():
                offered.append(entry)  # noqa: PERF401 - twice as fast as a comprehension, on 3.11
        if not offered:
            return RefusalReason.SIGNATURE_MALFORMED
        signed_prefix = f"{message_id}.{timestamp}.".encode()
        for index in self._order:
            mac = self._keyed[index].copy()
            mac.update(signed_prefix)
            mac.update(body)
            # Compared as base64, since decoding would take several spellings of one signature, even when it is strict.
            expected = _VERSION + binascii.b2a_base64(mac.digest(), newline=False).decode()
            for entry in offered:
                if hmac.compare_digest(expected, entry):
                    return self._prefer(index)
        return RefusalReason.SIGNATURE_MISMATCH

    def _prefer(self, index: int) -> int:
        """Try this secret first from now on: while one is rotated, a sender keeps to the same one for days."""
        if index != self._order[0]:
            self._order = [index, *(other for other in self._order if other != index)]
        return index


class StaticHeaderVerifier:
    """A shared secret in a header, for senders that cannot sign: proves the sender, not the body; stops no replay."""

    __slots__ = ("_digests", "_header")

    def __init__(self, header: str, secrets: Sequence[str]) -> None:
        """Take the header's name, and the values any of which it may have (`Bearer` and the like included).

        Raises SecretInvalidError for a value shorter than 8 characters, or one that no header can carry unchanged.
        """
        _require_some(secrets)
        if not _HEADER_NAME.fullmatch(header):
            raise ValueError("not a header name")
        for n, secret in enumerate(secrets, 1):
            if len(secret) < MIN_TOKEN_CHARS:
                raise _unusable(n, f"shorter than {MIN_TOKEN_CHARS} characters")
            if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
                raise _unusable(n, "has white space around it, or is not printable ASCII")
        self._header = header
        self._digests = [hashlib.sha256(secret.encode()).digest() for secret in secrets]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(header={self._header!r}, secrets={len(self._digests)})"

    def verify(self, headers: Headers, body: bytes, *, now: float) -> Verified:
        """Compare the header with every secret; the delivery key is the body's hash. Raises SignatureRefusedError."""
        values = headers.getall(self._header, ())
        if len(values) != 1:
            raise SignatureRefusedError(RefusalReason.HEADER_REPEATED if values else RefusalReason.HEADERS_MISSING)
        # Hashes are of one length, so the comparison does not tell the secret's; surrogatepass encodes any text at all.
        digest = hashlib.sha256(values[0].encode("utf-8", "surrogatepass")).digest()
        matches = [hmac.compare_digest(digest, wanted) for wanted in self._digests]
        if True not in matches:
            raise SignatureRefusedError(RefusalReason.TOKEN_MISMATCH)
        key = hashlib.sha256(body).hexdigest()
        return Verified(delivery_key=key, scheme="static-header", secret_index=matches.index(True))


class IntuitVerifier:
    """Intuit's signature: `intuit-signature` is base64 of HMAC-SHA256 of the raw body under the app's verifier token.

    https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks. It has neither id nor time: the delivery key
    is the body's hash, and a replay of the same bytes is absorbed by it.
    """

    __slots__ = ("_keyed",)

    def __init__(self, secrets: Sequence[str]) -> None:
        """Take verifier tokens. Raises SecretInvalidError for one of fewer than 16 characters."""
        _require_some(secrets)
        for n, secret in enumerate(secrets, 1):
            if len(secret) < MIN_INTUIT_CHARS or not (secret.isascii() and secret.isprintable()):
                raise _unusable(n, f"shorter than {MIN_INTUIT_CHARS} characters, or not printable ASCII")
        self._keyed = [hmac.new(secret.encode(), digestmod="sha256") for secret in secrets]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(secrets={len(self._keyed)})"

    def verify(self, headers: Headers, body: bytes, *, now: float) -> Verified:
        """Compare the signature with that of every token. Raises SignatureRefusedError."""
        values = headers.getall(INTUIT_HEADER, ())
        if len(values) != 1:
            raise SignatureRefusedError(RefusalReason.HEADER_REPEATED if values else RefusalReason.HEADERS_MISSING)
        offered = values[0].encode("utf-8", "surrogatepass")
        for index, keyed in enumerate(self._keyed):
            mac = keyed.copy()
            mac.update(body)
            if hmac.compare_digest(binascii.b2a_base64(mac.digest(), newline=False), offered):
                key = hashlib.sha256(body).hexdigest()
                return Verified(delivery_key=key, scheme=INTUIT_HEADER, secret_index=index)
        raise SignatureRefusedError(RefusalReason.SIGNATURE_MISMATCH)


def sign_as_intuit(secret: str, body: bytes) -> dict[str, str]:
    """Return the header of a delivery that Intuit would sign with this verifier token."""
    return {INTUIT_HEADER: base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode("ascii")}


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes, scheme: str = "webhook") -> dict[str, str]:
    """Return the three headers of a delivery signed at Unix second `timestamp`, in the `webhook` or `svix` family.

    Raises SecretInvalidError as the verifier does, and ValueError for an id, time or scheme that no verifier takes.
    """
    for what, valid in (
        ("scheme", scheme in _FAMILIES),
        ("message id", _is_message_id(message_id)),
        ("timestamp", 0 <= timestamp < 10**MAX_TIMESTAMP_DIGITS),
    ):
        if not valid:
            raise ValueError(f"the {what} is not valid")
    signed = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(_decode_key(secret, 1), signed, "sha256")).decode("ascii")
    return dict(zip(_FAMILIES[scheme], (message_id, str(timestamp), f"v1,{signature}"), strict=True))


def new_secret() -> str:
    """Return a fresh secret for a Standard Webhooks sender: `whsec_` and 32 random bytes in base64."""
    return _SECRET_PREFIX + base64.b64encode(randomness.token_bytes(32)).decode("ascii")


def _is_message_id(text: str) -> bool:
    """Tell whether an id is safe to keep: printable also means that no lone surrogate reaches the database."""
    return 0 < len(text) <= MAX_ID_CHARS and text.isprintable()


def _decode_key(secret: str, place: int) -> bytes:
    """Return the key bytes of a Standard Webhooks secret, the `place`-th configured; raises SecretInvalidError."""
    if secret.startswith(_ASYMMETRIC_PREFIXES):
        raise _unusable(place, "is a key of the ed25519 scheme, not a shared secret")
    encoded = secret.removeprefix(_SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:  # binascii.Error too
        raise _unusable(place, "is not base64") from None
    if len(key) < MIN_KEY_BYTES:
        raise _unusable(place, f"has {len(key)} bytes, fewer than {MIN_KEY_BYTES}" if key else "is empty")
    return key


def _require_some(secrets: Sequence[str]) -> None:
    """Refuse no secrets at all, and a lone string, which would be a list of one-letter secrets."""
    if isinstance(secrets, str) or not secrets:
        raise SecretInvalidError("at least one secret is needed, in a list")


def _unusable(place: int, why: str) -> SecretInvalidError:
    return SecretInvalidError(f"secret {place}: {why}")
