"""Alerts by e-mail: under TLS, with a login, in plain words, once for each recipient."""

from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway import keys
from gateway.configuration.channels import ChannelSpec
from storage.records import MessageStatus
from tests.configuring import ENVIRONMENT, TENANT
from tests.harness import NOMOD, Rig, open_rig
from tests.integration.alerts_setup import look
from tests.receivers import PASSWORD, USER, MailServer, mail_server

SENDER = "ledgergate@gate.example.org"
TO = ("ops@example.org", "boss@example.org")


@pytest.fixture(params=["smtp", "smtps"])
async def server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[str, MailServer]]:
    """A mail server with STARTTLS, and one with TLS from the start; its URL."""
    scheme = request.param
    async with mail_server(tmp_path, implicit=scheme == "smtps") as opened:
        monkeypatch.setenv("SSL_CERT_FILE", str(opened.authority))
        yield f"{scheme}://{USER.replace('@', '%40')}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{opened.port}", opened


async def add_mail(rig: Rig) -> None:
    spec = ChannelSpec(name="mail", tenant_id=TENANT, environment_id=ENVIRONMENT, to=TO)
    await rig.gateway.app[keys.CONFIGURATION].put_channel(spec, actor="tests")


async def test_an_alert_arrives_as_a_mail_and_so_does_its_end(tmp_path: Path, server: tuple[str, MailServer]) -> None:
    url, mails = server
    settings: dict[str, Any] = {
        "smtp_url": SecretStr(url), "smtp_from": SENDER, "public_url": "https://gate.example",
    }  # fmt: skip
    async with open_rig(tmp_path, **settings) as rig:
        await add_mail(rig)
        await rig.add_nomod()
        await rig.store.set_connection_status(NOMOD, status="paused", reason="authentication_failed", now=rig.now())
        await look(rig)
        await rig.resume(NOMOD)
        await look(rig)
        opened, closed = mails.mails
        assert isinstance(opened, EmailMessage)
        assert mails.recipients == [list(TO)] * 2
        assert opened["Subject"] == f"[ledgergate] Connection {NOMOD} is paused: authentication_failed"
        assert closed["Subject"] == f"[ledgergate] Connection {NOMOD} is no longer paused"
        assert (opened["From"], opened["To"], opened["Auto-Submitted"]) == (SENDER, ", ".join(TO), "auto-generated")
        text = opened.get_content()
        assert f"https://gate.example/console/connections/{NOMOD}" in text
        assert "Its jobs wait and use up no attempt." in text
        messages = (await rig.store.list_alert_messages()).items
        assert opened["Message-ID"] == f"<{messages[-1].message_id}@gate.example.org>"
        assert {each.status for each in messages} == {MessageStatus.SENT}


async def test_a_mail_that_is_not_taken_is_tried_again_as_the_same(
    tmp_path: Path, server: tuple[str, MailServer]
) -> None:
    url, mails = server
    async with open_rig(tmp_path, smtp_url=SecretStr(url), smtp_from=SENDER) as rig:
        await add_mail(rig)
        await rig.add_nomod()
        await rig.pause(NOMOD)
        mails.refuse = "451 4.3.0 try again, ada@example.com"
        await look(rig)
        [waiting] = (await rig.store.list_alert_messages()).items
        assert (waiting.status, waiting.error["detail"]) == (MessageStatus.PENDING, "SMTPDataError 451")
        mails.refuse = None
        await look(rig, after=10)
        [mail] = mails.mails
        assert mail["Message-ID"].startswith(f"<{waiting.message_id}@")


@pytest.mark.parametrize("server", ["smtp"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("correct", "wrong"),
        lambda url: url.replace("127.0.0.1", "localhost"),  # which the certificate does not name
        lambda url: f"smtp://127.0.0.1:{url.rpartition(':')[2]}?tls=off",  # which the server does not take mail by
    ],
    ids=["password", "certificate", "no TLS"],
)
async def test_a_server_that_cannot_be_trusted_or_does_not_trust_us_gets_nothing(
    tmp_path: Path, server: tuple[str, MailServer], change: Any
) -> None:
    url, mails = server
    async with open_rig(tmp_path, smtp_url=SecretStr(change(url)), smtp_from=SENDER) as rig:
        await add_mail(rig)
        status, told = await rig.api("POST", "/api/v1/channels/mail/test")
        assert (status, told["code"]) == (502, "alert_not_delivered")
        assert mails.mails == []
        for secret in (PASSWORD, "example.org", "127.0.0.1"):
            assert secret not in str(told)


async def test_without_a_mail_server_the_message_waits_for_one(rig: Rig) -> None:
    await add_mail(rig)
    await rig.add_nomod()
    await rig.pause(NOMOD)
    await look(rig)
    [waiting] = (await rig.store.list_alert_messages()).items
    assert (waiting.status, waiting.error["code"]) == (MessageStatus.PENDING, "mail_not_configured")
    status, told = await rig.api("POST", "/api/v1/channels/mail/test")
    assert (status, told["code"]) == (409, "mail_not_configured")
