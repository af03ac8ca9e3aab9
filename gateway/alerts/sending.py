"""Messages on their way: each through its channel, tried again on the retry schedule, given up in the end."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import aiohttp
import structlog

from gateway.alerts import mail, webhook
from gateway.configuration.channels import channel_secrets, signing_secrets
from gateway.errors import GatewayError, MailNotConfiguredError, problem
from gateway.mailing import Relay
from gateway.metrics import Metrics
from gateway.secrets import Vault
from gateway.settings import Settings
from storage import Store
from storage.errors import StorageError
from storage.records import AlertMessage, ChannelRow, MessageStatus

log = structlog.get_logger("ledgergate.alerts")

AT_ONCE = 100
"""Messages that one turn looks at."""
JITTER = 0.1


class Carrier:
    """Brings one message through one channel, now."""

    def __init__(
        self, *, vault: Vault, session: aiohttp.ClientSession, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._vault, self._session, self._now = vault, session, now
        self._relay = Relay.parse(settings.smtp_url.get_secret_value()) if settings.smtp_url is not None else None
        self._sender = settings.smtp_from

    async def bring(self, message: AlertMessage, channel: ChannelRow) -> None:
        """Send. Raises AlertNotDeliveredError, AlertAddressError, MailNotConfiguredError, SecretKeyError."""
        if channel.kind == "email":
            if self._relay is None or self._sender is None:
                raise MailNotConfiguredError(f"channel {channel.name} sends e-mail")
            await mail.send(self._relay, self._sender, channel.settings["to"], message, now=self._now())
            return
        plain = channel_secrets(channel, self._vault)
        await webhook.post(self._session, plain["url"], signing_secrets(plain), message, now=self._now())


class Sending:
    """Sends what is due. A channel that fails is left alone until the next turn, so that no turn lasts long."""

    def __init__(
        self,
        *,
        store: Store,
        carrier: Carrier,
        schedule: Sequence[float],
        metrics: Metrics,
        now: Callable[[], datetime],
        chance: random.Random | None = None,
    ) -> None:
        self._store, self._carrier, self._schedule = store, carrier, schedule
        self._metrics, self._now = metrics, now
        self._chance = chance or random.Random()  # noqa: S311 - jitter

    async def turn(self, channels: Mapping[str, ChannelRow]) -> None:
        """Send each due message once, each channel's in order. Raises StorageError kinds."""
        due: dict[str, list[AlertMessage]] = {}
        for message in await self._store.due_alert_messages(now=self._now(), limit=AT_ONCE):
            due.setdefault(message.channel, []).append(message)
        results = await asyncio.gather(
            *(self._through(channels.get(name), messages) for name, messages in due.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _through(self, channel: ChannelRow | None, messages: Sequence[AlertMessage]) -> None:
        for message in messages:
            if not await self._try(message, channel):
                return

    async def _try(self, message: AlertMessage, channel: ChannelRow | None) -> bool:
        """Try a message once and write down how it went; return whether it was taken."""
        error: Exception | None = None
        if channel is not None:
            try:
                await self._carrier.bring(message, channel)
            except StorageError:
                raise
            except Exception as raised:  # a bug in one channel must not keep the others from telling
                if not isinstance(raised, GatewayError):
                    log.exception("alert_crashed", channel=message.channel)
                error = raised
        status, again = self._outcome(message, channel, error)
        self._metrics.alert_messages.labels(message.channel, getattr(error, "code", "") or str(status)).inc()
        await self._store.settle_alert_message(
            message.message_id, attempts=message.attempts, status=status, next_attempt_at=again,
            error=problem(error) if error is not None else None, now=self._now(),
        )  # fmt: skip
        self._log(message, status, error)
        return status is MessageStatus.SENT

    def _outcome(
        self, message: AlertMessage, channel: ChannelRow | None, error: Exception | None
    ) -> tuple[MessageStatus, datetime | None]:
        if channel is not None and error is None:
            return MessageStatus.SENT, None
        if channel is None or message.attempts >= len(self._schedule):
            return MessageStatus.FAILED, None
        delay = self._schedule[message.attempts] * (1 + JITTER * self._chance.uniform(-1, 1))
        return MessageStatus.PENDING, self._now() + timedelta(seconds=delay)

    @staticmethod
    def _log(message: AlertMessage, status: MessageStatus, error: Exception | None) -> None:
        told = {
            "channel": message.channel, "kind": message.kind, "told": message.event, "message_id": message.message_id,
        }  # fmt: skip
        if status is MessageStatus.SENT:
            log.info("alert_sent", **told)
        elif status is MessageStatus.FAILED:
            log.error("alert_given_up", **told, attempts=message.attempts + 1)
        elif message.attempts == 0:  # one line when it begins; the end has another
            log.warning("alert_not_sent", **told, code=getattr(error, "code", "internal"))
