"""Where alerts arrive in tests: an endpoint that checks signatures as Standard Webhooks say, and a mail server."""

import asyncio
import datetime as dt
import email
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from gateway.sources.signing import new_secret

USER, PASSWORD = "alerts@example.org", "correct horse"


@dataclass(slots=True)
class Endpoint:
    """Takes alerts. `answers` are the next statuses; 204 when there is none left."""

    clock: Callable[[], float]
    secret: str = field(default_factory=new_secret)
    url: str = ""
    answers: list[int] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Id and answer of every request."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Check the signature with the reference library, and answer as told."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert abs(int(headers["webhook-timestamp"]) - self.clock()) < 60
        signed = Webhook(self.secret).sign(
            headers["webhook-id"], dt.datetime.fromtimestamp(int(headers["webhook-timestamp"]), dt.UTC), body.decode()
        )
        assert signed in headers["webhook-signature"].split(" ")
        status = self.answers.pop(0) if self.answers else 204
        self.asked.append((headers["webhook-id"], status))
        if status < 300:
            self.raw.append(body)
            self.taken.append({"id": headers["webhook-id"], **(await request.json())})
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status in (302, 307) else None)

    @property
    def told(self) -> list[tuple[str, str, int]]:
        """Return type, kind and count of every message that was taken."""
        return [(each["type"], each["data"]["kind"], each["data"]["count"]) for each in self.taken]


@asynccontextmanager
async def endpoint(clock: Callable[[], float]) -> AsyncIterator[Endpoint]:
    """Listen on loopback."""
    made = Endpoint(clock=clock)
    app = web.Application()
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield made
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class MailServer:
    """Takes mail under TLS, from who has logged in."""

    port: int
    authority: Path
    """The certificate to trust, as SSL_CERT_FILE."""
    mails: list[Message] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    implicit: bool = False
    """Whether conversations are private from the start."""
    refuse: str | None = None
    """What is answered to a mail instead of taking it."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Take a mail, or refuse it."""
        assert session.authenticated
        assert self.implicit or session.ssl is not None
        if self.refuse is not None:
            return self.refuse
        self.recipients.append(list(envelope.rcpt_tos))
        self.mails.append(email.message_from_bytes(envelope.original_content or b"", policy=default))
        return "250 OK"


@asynccontextmanager
async def mail_server(folder: Path, *, implicit: bool = False) -> AsyncIterator[MailServer]:
    """Listen on loopback: STARTTLS, or TLS from the start."""
    certificate, key = self_signed(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    made = MailServer(0, certificate, implicit=implicit)

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        is_known = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USER.encode(), PASSWORD.encode()
        )  # fmt: skip
        return AuthResult(success=is_known, handled=False)

    def conversation() -> SMTP:
        return SMTP(
            made, authenticator=authenticate, auth_required=not implicit, auth_require_tls=not implicit,
            tls_context=None if implicit else context, require_starttls=not implicit,
        )  # fmt: skip

    listening = await asyncio.get_running_loop().create_server(
        conversation, "127.0.0.1", 0, ssl=context if implicit else None
    )
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
        await listening.wait_closed()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / "mail.pem", folder / "mail.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths[1].write_bytes(private)
    return paths
