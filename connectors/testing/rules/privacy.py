"""Rules about what must not be shown: canary strings are sent through everything, and looked for everywhere."""

import contextlib
import io
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from connectors.errors import ConnectorError
from connectors.http import EXCHANGES, Exchange
from connectors.models import Address, Customer
from connectors.testing.bench import Bench, captured_logs
from connectors.testing.rulebook import Kit, RuleBroken, Tier, rule
from connectors.testing.rules.failures import CALLS
from connectors.testing.rules.lookups import ALWAYS, troubles
from connectors.testing.simulator import Fault, FaultKind

SHORTEST = 6
"""Shorter secrets would be found by chance."""
NAME, EMAIL, PHONE = "Kanarina Zwitscherling", "kanarina.zwitscherling@example.com", "+4930901820775"
PERSONAL = ("kanarina", "zwitscherling", "901820775", "Kanariengasse", "90182-KV")


@dataclass(slots=True)
class Shown:
    """Everything that became visible, with where."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, *texts: object) -> None:
        """Keep texts."""
        self.texts += [(where, str(text)) for text in texts if text is not None]

    def error(self, where: str, error: BaseException) -> None:
        """Keep all that an error says."""
        said = [str(error), repr(error), *map(str, error.args), *getattr(error, "__notes__", ())]
        said += [getattr(error, name, None) or "" for name in ("detail", "provider_code", "provider_request_id")]
        self.add(f"{type(error).__name__} of {where}", *said)

    def find(self, canaries: Iterable[str]) -> tuple[str, str] | None:
        """Return the first canary that was seen, and where."""
        wanted = [(canary, canary.casefold()) for canary in canaries]
        for where, text in self.texts:
            folded = text.casefold()
            for canary, key in wanted:
                if key in folded:
                    return canary, where
        return None


def canary_customer(bench: Bench) -> Customer:
    """Return a customer whose every field can be recognised."""
    return bench.customer(
        77, name=NAME, email=EMAIL, phone=PHONE,
        address=Address(line1="Kanariengasse 9018", city="Berlin", postal_code="90182-KV", country="DE"),
    )  # fmt: skip


async def shown_by(kit: Kit) -> tuple[Shown, set[str]]:
    """Call everything under every fault, once for both rules; return what became visible, and the secrets in play."""
    known = kit.notes.get("shown")
    if known is None:
        known = kit.notes["shown"] = await _show(kit)
    return known


async def _show(kit: Kit) -> tuple[Shown, set[str]]:
    shown = Shown()
    async with kit.bench() as bench:
        customer, exchanges = canary_customer(bench), list[Exchange]()
        printed = io.StringIO()
        token = EXCHANGES.set(exchanges)
        try:
            with captured_logs() as logs, contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                await _show_all(bench, customer, shown)
                for fault in [None, *(trouble.fault for trouble in troubles()), Fault(kind=FaultKind.ECHO)]:
                    exchanges.clear()
                    await _show_under(bench, customer, fault, shown)
                    shown.add("the exchanges kept with an attempt", *(each.whole() for each in exchanges))
        finally:
            EXCHANGES.reset(token)
        shown.add("the log", *logs.lines)
        shown.add("standard output", printed.getvalue())
        return shown, await _secrets(bench)


async def overheard(
    bench: Bench, calls: Mapping[str, Callable[[], Awaitable[object]]], canaries: Iterable[str]
) -> str | None:
    """Make calls of a capability under every fault; return in words which canary or secret was shown, and where."""
    shown, exchanges, printed = Shown(), list[Exchange](), io.StringIO()
    token = EXCHANGES.set(exchanges)
    try:
        with captured_logs() as logs, contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            for fault in [None, *(trouble.fault for trouble in troubles()), Fault(kind=FaultKind.ECHO)]:
                for name, call in calls.items():
                    bench.plan(*([] if fault is None else [replace(fault, times=ALWAYS)]))
                    try:
                        shown.add(f"what {name} returned", repr(await call()))
                    except Exception as error:  # noqa: BLE001 - which errors may come out is another rule
                        shown.error(name, error)
            bench.proxy.faults.clear()
    finally:
        EXCHANGES.reset(token)
    shown.add("the exchanges kept with an attempt", *(each.whole() for each in exchanges))
    shown.add("the log", *logs.lines)
    shown.add("standard output", printed.getvalue())
    secret = shown.find(await _secrets(bench))
    if secret is not None:
        return f"a secret of the connection ({secret[0][:3]}…), in {secret[1]},"
    found = shown.find(canaries)
    return None if found is None else f"{found[0]!r}, in {found[1]},"


async def _show_all(bench: Bench, customer: Customer, shown: Shown) -> None:
    connector = bench.connector()
    shown.add("repr of the config", repr(connector.config), str(connector.config))
    shown.add("repr of the connector", repr(connector), str(connector))
    account = await connector.check()
    shown.add("the account that check names", repr(account))
    for candidate in await connector.find_customers(customer):
        shown.add("repr of a candidate", repr(candidate))
    shown.add("settings_summary", dict(connector.settings_summary()))


async def _show_under(bench: Bench, customer: Customer, fault: Fault | None, shown: Shown) -> None:
    connector = bench.connector()
    for name, call in CALLS.items():
        if fault is not None:
            bench.plan(
                Fault(kind=fault.kind, status=fault.status, body=fault.body, times=ALWAYS, seconds=fault.seconds)
            )
        try:
            if name == "create_customer":
                created = await connector.create_customer(customer, intent=bench.intent(77))
                shown.add("the warnings of a create", *created.warnings)
            elif name.startswith("find_customers"):
                await connector.find_customers(customer, intent=bench.intent(77) if "intent" in name else None)
            else:
                await call(connector, bench)
        except ConnectorError as error:
            shown.error(name, error)
        except Exception as error:  # noqa: BLE001 - own-errors is another rule
            shown.error(name, error)
        finally:
            bench.proxy.faults.clear()
    await connector.close()


async def _secrets(bench: Bench) -> set[str]:
    """Return every secret: of the config, of the token store, and what was sent to prove who asks."""
    values = [getattr(bench.parsed(), name) for name in bench.kind.config_model.model_fields]
    secrets = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    secrets |= set(bench.harness.secrets())
    tokens = await bench.tokens.load()
    if tokens is not None:
        secrets |= {tokens.access_token, tokens.refresh_token}
    for call in bench.proxy.calls:
        scheme, _, credentials = call.headers.get("Authorization", "").partition(" ")
        secrets.add(credentials or scheme)
    return {secret for secret in secrets if len(secret) >= SHORTEST}


@rule("keeps-secrets", Tier.BRONZE, "No secret is in logs, errors, exchanges or repr")
async def keeps_secrets(kit: Kit) -> None:
    """Call everything under every fault, also against a service that quotes what it was sent."""
    shown, secrets = await shown_by(kit)
    found = shown.find(secrets)
    if found is not None:
        raise RuleBroken(f"a secret of the connection ({found[0][:3]}…) is shown in: {found[1]}")


@rule("keeps-personal-data", Tier.SILVER, "No personal data is in logs, errors, exchanges or repr")
async def keeps_personal_data(kit: Kit) -> None:
    """Call everything for a customer whose every field is a canary."""
    shown, _ = await shown_by(kit)
    found = shown.find(PERSONAL)
    if found is not None:
        raise RuleBroken(f"personal data of a customer ({found[0]!r}) is shown in: {found[1]}")


RULES = (keeps_secrets, keeps_personal_data)
