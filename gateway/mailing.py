"""How the mail server is named and spoken to: TLS unless it was switched off, and no password without it."""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

TIMEOUT = 15.0
"""Seconds that each step of a conversation may take."""
_PORTS = {"smtp": 587, "smtps": 465}


class Tls(StrEnum):
    """When a conversation becomes private."""

    STARTTLS = "starttls"
    FROM_THE_START = "smtps"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A mail server."""

    host: str
    port: int
    tls: Tls
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "Relay":
        """Return the server of a URL. Raises ValueError, whose text holds nothing of the URL."""
        try:
            parts = urlsplit(url)
            port, query = parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            raise ValueError("is no URL that can be read") from None
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
            raise ValueError("must be smtp://[user:password@]host[:port] or smtps://…")
        if query.keys() - {"tls"} or query.get("tls", "off") != "off" or (query and parts.scheme == "smtps"):
            raise ValueError("takes `?tls=off` with smtp:// and nothing else")
        tls = Tls.OFF if query else Tls.FROM_THE_START if parts.scheme == "smtps" else Tls.STARTTLS
        if tls is Tls.OFF and parts.username is not None:
            raise ValueError("sends no password without TLS: leave out `?tls=off`, or the user")
        return cls(
            host=parts.hostname, port=port or _PORTS[parts.scheme], tls=tls,
            user=unquote(parts.username) if parts.username is not None else None,
            password=unquote(parts.password) if parts.password is not None else None,
        )  # fmt: skip

    def send(self, message: EmailMessage, *, sender: str, recipients: Sequence[str]) -> int:
        """Send a message, which takes a while; return how many of the recipients the server refused.

        Certificates are checked against the machine's own authorities (OpenSSL's SSL_CERT_FILE names others). Raises
        smtplib.SMTPException, ssl.SSLError and OSError.
        """
        context = ssl.create_default_context()
        if self.tls is Tls.FROM_THE_START:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
        with server:
            if self.tls is Tls.STARTTLS:
                server.starttls(context=context)
            if self.user is not None:
                server.login(self.user, self.password or "")
            return len(server.send_message(message, from_addr=sender, to_addrs=list(recipients)))


def checked_address(value: str) -> str:
    """Return an e-mail address, checked without asking anybody. Raises ValueError, whose text does not repeat it."""
    # Its tables take a fortieth of the time to start, and most installations send no mail.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("is no e-mail address") from None
