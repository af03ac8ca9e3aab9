"""The reverse proxies of deploy/proxy, as they stand but for ports, name and certificate, before a gateway."""

import asyncio
import io
import json
import os
import re
import shutil
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.testing.ports import ReservedPort
from gateway.sources.signing import sign
from tests.harness import SOURCE, Rig, open_rig

PROXY = Path(__file__).resolve().parents[2] / "deploy/proxy"
NAME = "hooks.example.org"
BODY = b'{"event_type":"customer.created","customer":{"id":"cust_1"}}'
FORGED = {
    "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http",
    "X-Real-IP": "203.0.113.7", "Forwarded": "for=203.0.113.7;host=evil.example",
}  # fmt: skip


class Front(NamedTuple):
    """A proxy that runs: what to ask it by."""

    session: aiohttp.ClientSession
    tls: int
    plain: int

    async def ask(self, method: str, path: str, *, secure: bool = True, **options: Any) -> aiohttp.ClientResponse:
        """Return the answer, read; redirects are not followed."""
        scheme, port = ("https", self.tls) if secure else ("http", self.plain)
        headers = {"Host": NAME, **options.pop("headers", {})}
        named: dict[str, Any] = {"server_hostname": NAME} if secure else {}
        async with self.session.request(
            method, f"{scheme}://127.0.0.1:{port}{path}", headers=headers, allow_redirects=False, **named, **options
        ) as answer:
            await answer.read()
        return answer


def certificate(folder: Path) -> tuple[Path, Path, ssl.SSLContext]:
    """Write a certificate for the name, and its key; return both and a context that trusts it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    chain, private = folder / "fullchain.pem", folder / "privkey.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return chain, private, ssl.create_default_context(cafile=str(chain))


def nginx(folder: Path, *, gateway: int, tls: int, plain: int, chain: Path, private: Path) -> list[str]:
    """Write nginx's configuration around ours; return the command that runs it."""
    text = (PROXY / "nginx.conf").read_text("utf-8")
    text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{tls} ").replace("listen 80;", f"listen 127.0.0.1:{plain};")
    text = text.replace("server 127.0.0.1:8080;", f"server 127.0.0.1:{gateway};")
    text = text.replace("/etc/ssl/ledgergate/fullchain.pem", str(chain))
    text = text.replace("/etc/ssl/ledgergate/privkey.pem", str(private))
    (folder / "ledgergate.conf").write_text(text, "utf-8")
    scratch = "".join(
        f"{kind}_temp_path {folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "nginx.conf"
    whole.write_text(
        f"daemon off; master_process off; pid {folder / 'pid'}; error_log {folder / 'log'} notice;"
        f"events {{}} http {{ access_log off; {scratch} include {folder / 'ledgergate.conf'}; }}",
        "utf-8",
    )
    return ["nginx", "-p", str(folder), "-e", str(folder / "log"), "-c", str(whole)]


def caddy(folder: Path, *, gateway: int, tls: int, plain: int, chain: Path, private: Path) -> list[str]:
    """Write Caddy's configuration around ours; return the command that runs it."""
    text = (PROXY / "Caddyfile").read_text("utf-8")
    text = text.replace(f"\n{NAME} {{", f"\nhttps://{NAME}:{tls} {{\n\ttls {chain} {private}\n")
    text = text.replace(f"http://{NAME} {{", f"http://{NAME}:{plain} {{").replace(
        "127.0.0.1:8080", f"127.0.0.1:{gateway}"
    )
    whole = folder / "Caddyfile"
    whole.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text, "utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(whole)]


@asynccontextmanager
async def front(kind: str, rig: Rig, folder: Path) -> AsyncIterator[Front]:
    """Run a proxy before the gateway until the context ends."""
    chain, private, trusting = certificate(folder)
    reserved = ReservedPort(), ReservedPort()
    tls, plain = (port.number for port in reserved)
    command = {"nginx": nginx, "caddy": caddy}[kind](
        folder, gateway=rig.gateway.port, tls=tls, plain=plain, chain=chain, private=private
    )
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    log = folder / "output"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **home}
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", tls)) == 0:
                    break
            assert process.returncode is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            await asyncio.sleep(0.02)
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield Front(session, tls, plain)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def program(kind: str) -> Any:
    """A parameter that is skipped where its program is missing; see NEEDS in tests/conftest.py for nginx."""
    missing = kind != "nginx" and shutil.which(kind) is None
    marks = [pytest.mark.nginx] if kind == "nginx" else [pytest.mark.skipif(missing, reason=f"no {kind} on PATH")]
    return pytest.param(kind, marks=marks)


@pytest.mark.parametrize("kind", [program("nginx"), program("caddy")])
async def test_a_proxy_lets_through_what_it_must_and_nothing_else(kind: str, tmp_path: Path) -> None:
    """Webhooks, console and API by TLS; no metrics; no header that a caller has made up."""
    async with open_rig(tmp_path, public_url=f"https://{NAME}") as rig, front(kind, rig, tmp_path) as proxy:
        await rig.add_flexprice()
        headers = sign(rig.secret, message_id="msg_1", timestamp=int(time.time()), body=BODY, scheme="svix")
        stored = await proxy.ask("POST", f"/webhooks/{SOURCE}", data=BODY, headers={**headers, **FORGED})
        assert stored.status == 202
        delivery = await rig.store.get_delivery((await stored.json())["delivery_id"])
        kept = {name.lower() for name, _ in json.loads(delivery.headers or b"[]")}
        assert "svix-signature" in kept
        assert kept & {name.lower() for name in FORGED} == set()

        login = await proxy.ask("GET", "/console/login", headers=FORGED)
        assert login.status == 200
        assert "secure" in login.headers["Set-Cookie"].lower()  # the gateway knows that it is reached by TLS
        assert "max-age=31536000" in login.headers["Strict-Transport-Security"]
        assert "default-src 'none'" in login.headers["Content-Security-Policy"]

        for path in ("/metrics", "/readyz", "/healthz"):
            assert (await proxy.ask("GET", path)).status == 404, path
        described = await proxy.ask("GET", "/openapi.json")
        assert described.status == 200

        large = await proxy.ask(
            "POST", f"/webhooks/{SOURCE}", data=io.BytesIO(b"x" * (rig.settings.max_body_bytes + 1))
        )
        assert large.status == 413
        assert (await large.json(content_type=None))["code"] == "payload_too_large"  # the gateway's words

        assert (await proxy.ask("POST", f"/webhooks/{SOURCE}", secure=False, data=BODY, headers=headers)).status == 403
        moved = await proxy.ask("GET", "/console", secure=False)
        assert (moved.status, moved.headers["Location"]) == (301, f"https://{NAME}/console")


@pytest.mark.nginx
async def test_nginx_bounds_logins_by_the_caller(tmp_path: Path) -> None:
    """To the gateway all callers behind a proxy are one address; the limit for each stands in the proxy."""
    async with open_rig(tmp_path, public_url=f"https://{NAME}") as rig, front("nginx", rig, tmp_path) as proxy:
        statuses = [(await proxy.ask("POST", "/console/login", data=b"")).status for _ in range(20)]
        assert statuses[0] != 429
        assert statuses[-1] == 429
