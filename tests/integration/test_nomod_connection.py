"""A Nomod connection: its settings, and what the check of an account tells."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import (
    AuthenticationError,
    ConnectorError,
    EdgeBlockedError,
    InvalidEmailError,
    MissingFieldsError,
    PermissionRefusedError,
    ProviderError,
    UnexpectedResponseError,
)
from connectors.models import MatchOn
from connectors.nomod import NomodConfig
from connectors.testing.nomod import API_KEY
from connectors.testing.simulator import Fault, FaultKind
from tests.integration.nomod_setup import Desk, customer, opened_desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened_desk() as opened:
        yield opened


async def test_a_check_proves_the_key_without_writing(desk: Desk) -> None:
    for number in range(3):
        desk.nomod.seed(first_name="Guest", email=f"guest{number}@example.com")
    account = await desk.connector().check()
    assert account.name == "Nomod (test key)"
    assert account.details == {"lookup": "filter (`email` works)", "customers": "3"}
    assert account.warnings == ("base_url is not https: the API key travels in clear",)
    assert {call.method for call in desk.nomod.calls} == {"GET"}


async def test_a_check_tries_the_look_ups_again(desk: Desk) -> None:
    desk.nomod.seed(first_name="Guest", email="guest@example.com")
    connector = desk.connector()
    await connector.check()
    desk.nomod.filter_mode = "search"
    assert (await connector.check()).details["lookup"] == "search (`search` works)"


async def test_an_accounts_id_is_stable_and_tells_nothing(desk: Desk) -> None:
    first, second = [(await desk.connector().check()).account_id for _ in range(2)]
    assert first == second
    assert len(first) == 16
    assert not any(part in first for part in API_KEY.replace(".", "_").split("_"))
    desk.nomod.api_key = "sk_live_Another1.0123456789abcdefghijklmnopqrstuv"
    other = await desk.connector(api_key=desk.nomod.api_key).check()
    assert other.account_id != first
    assert other.name == "Nomod (live key)"


@pytest.mark.parametrize(
    "fault, error",
    [
        (Fault(kind=FaultKind.REFUSE, status=401), AuthenticationError),
        (Fault(kind=FaultKind.REFUSE, status=403), PermissionRefusedError),
        (Fault(kind=FaultKind.HTML, status=403), EdgeBlockedError),
        (Fault(kind=FaultKind.HTML, times=9), ProviderError),
        (Fault(kind=FaultKind.REFUSE, status=200), UnexpectedResponseError),
        (Fault(kind=FaultKind.REDIRECT), UnexpectedResponseError),
    ],
)
async def test_a_check_that_fails_says_why(desk: Desk, fault: Fault, error: type[ConnectorError]) -> None:
    desk.nomod.faults.add(fault)
    with pytest.raises(ConnectorError) as failed:
        await desk.connector().check()
    assert type(failed.value) is error


async def test_a_wrong_key_is_refused_and_not_repeated(desk: Desk) -> None:
    with pytest.raises(AuthenticationError) as refused:
        await desk.connector(api_key="sk_live_Wrong001.secretpart").check()
    assert "secretpart" not in f"{refused.value} {refused.value.detail}"


async def test_a_customer_is_validated_before_any_request(desk: Desk) -> None:
    connector = desk.connector()
    connector.validate_customer(customer())
    with pytest.raises(MissingFieldsError):
        connector.validate_customer(customer(email=""))
    with pytest.raises(InvalidEmailError):
        connector.validate_customer(customer(email="mona"))
    desk.connector(marker=True).validate_customer(customer(email=""))
    assert desk.nomod.calls == []


async def test_settings_become_policy_limits_and_recovery(desk: Desk) -> None:
    connector = desk.connector()
    assert connector.match_policy().match is MatchOn.EMAIL
    assert (connector.limits().per_second, connector.limits().concurrency) == (10.0, 4)
    assert connector.recovery().replay_window is None
    assert connector.recovery().lookups == (5, 20, 60, 180, 600)
    changed = desk.connector(match="strict", recovery_lookups=[1, 2.5], requests_per_second=0.5, concurrency=1)
    assert changed.match_policy().match is MatchOn.STRICT
    assert changed.recovery().lookups == (1, 2.5)
    assert (changed.limits().per_second, changed.limits().concurrency) == (0.5, 1)


async def test_blanks_around_a_key_are_stripped(desk: Desk) -> None:
    assert (await desk.connector(api_key=f"  {API_KEY}\n").check()).name == "Nomod (test key)"


@pytest.mark.parametrize("address", ["{url}", "{url}/", "{url}/v1", "{url}/v1/", " {url} "])
async def test_the_address_may_carry_what_people_copy_along(desk: Desk, address: str) -> None:
    assert (await desk.connector(base_url=address.format(url=desk.nomod.url)).check()).details["customers"] == "0"


@pytest.mark.parametrize(
    "config",
    [
        {}, {"api_key": ""}, {"api_key": "  "}, {"api_key": "sk live"}, {"api_key": "sk_live_\r\nX: y"},
        {"api_key": "schlüssel"}, {"api_key": "k" * 501}, {"api_key": 7}, {"base_url": "api.nomod.com"},
        {"base_url": "ftp://api.nomod.com"}, {"base_url": "https://"}, {"base_url": "https://user@api.nomod.com"},
        {"base_url": "https://api.nomod.com?x=1"}, {"base_url": "https://api.nomod.com#x"},
        {"base_url": "https://[::1"}, {"recovery_lookups": []}, {"recovery_lookups": [5, 5]},
        {"recovery_lookups": [20, 5]}, {"recovery_lookups": [0]}, {"recovery_lookups": [-1]},
        {"recovery_lookups": list(range(1, 22))}, {"recovery_lookups": [86_401]}, {"recovery_lookups": "5,20"},
        {"match": "name"}, {"lookup": "guess"}, {"marker": "perhaps"}, {"timeout_seconds": 0},
        {"requests_per_second": 0}, {"concurrency": 0}, {"api-key": "x"}, {"unknown": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_that_is_wrong_is_refused_without_showing_it(config: Mapping[str, Any]) -> None:
    known = {"api_key": "sk_live_Secret01.secretpart"} if config and "api_key" not in config else {}
    with pytest.raises(ValidationError) as refused:
        NomodConfig.model_validate({**known, **config})
    assert "secretpart" not in str(refused.value)
    assert "sk live" not in str(refused.value)


def test_every_setting_says_what_it_is_and_only_the_key_has_no_default() -> None:
    fields = NomodConfig.model_fields
    assert all(field.description for field in fields.values())
    assert [name for name, field in fields.items() if field.is_required()] == ["api_key"]


def test_defaults_are_those_of_the_contract() -> None:
    config = NomodConfig.model_validate({"api_key": API_KEY})
    assert (config.base_url, config.marker) == ("https://api.nomod.com", False)
    assert config.recovery_lookups == (5, 20, 60, 180, 600)
    assert API_KEY not in repr(config)


async def test_maintenance_repeats_the_trial_when_it_is_a_day_old(desk: Desk) -> None:
    desk.nomod.seed(first_name="Guest", email="guest@example.com")
    connector = desk.connector()
    await connector.maintain()
    asked = len(desk.nomod.calls)
    await connector.maintain()
    assert len(desk.nomod.calls) == asked
    desk.clock.advance(timedelta(days=1).total_seconds())
    await connector.maintain()
    assert len(desk.nomod.calls) == 2 * asked
