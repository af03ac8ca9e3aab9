"""Looking customers up in Nomod: every way that the API may offer, and what is looked for in recovery."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta

import pytest

from connectors import ProviderError, UnexpectedResponseError
from connectors.testing.nomod import FilterMode
from connectors.testing.simulator import Call, Fault, FaultKind, Moment
from tests.integration.nomod_setup import GET, LIST, MODES, POST, Desk, crowd, customer, ids, opened_desk

WAYS = {"email": "filter", "search": "search", "ignored": "scan"}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened_desk() as opened:
        yield opened


# Each way of looking up


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("page_size", [1, 20, 100])
async def test_every_customer_with_the_address_is_found_and_no_other(
    desk: Desk, mode: FilterMode, page_size: int
) -> None:
    desk.nomod.filter_mode, desk.nomod.max_page_size = mode, page_size
    crowd(desk, 50)
    wanted = {desk.nomod.seed(first_name="Mona", email=text) for text in ("mona@example.com", "Mona@EXAMPLE.com ")}
    connector = desk.connector()
    assert ids(await connector.find_customers(customer(email=" MONA@example.com"))) == wanted
    assert await connector.find_customers(customer(email="nobody@example.com")) == []
    assert connector.settings_summary()["lookup"].startswith(WAYS[mode])
    assert desk.nomod.calls_of(POST) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("email", ["mona+tag&x=1@example.com", "o'hara#1%41@example.com", "a/b?c@example.com"])
async def test_an_address_is_encoded_on_its_way(desk: Desk, mode: FilterMode, email: str) -> None:
    desk.nomod.filter_mode = mode
    crowd(desk, 5)
    wanted = desk.nomod.seed(first_name="Odd", email=email)
    assert ids(await desk.connector().find_customers(customer(email=email))) == {wanted}


@pytest.mark.parametrize("mode", MODES)
async def test_no_customer_at_all_means_nobody_was_found(desk: Desk, mode: FilterMode) -> None:
    desk.nomod.filter_mode = mode
    connector = desk.connector()
    assert await connector.find_customers(customer()) == []
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    assert ids(await connector.find_customers(customer())) == {wanted}
    assert connector.settings_summary()["lookup"].startswith(WAYS[mode])


async def test_customers_without_addresses_decide_nothing_about_filters(desk: Desk) -> None:
    desk.nomod.seed(first_name="Cash only")
    connector = desk.connector()
    assert await connector.find_customers(customer()) == []
    assert connector.settings_summary()["lookup"] == "scan (no e-mail to try it on)"
    assert await desk.memory.get("nomod.lookup") is None


async def test_a_filter_that_tells_letters_apart_is_not_relied_on(desk: Desk) -> None:
    desk.nomod.filter_ignores_case = False
    crowd(desk, 5)
    wanted = desk.nomod.seed(first_name="Mona", email="Mona@Example.com")
    connector = desk.connector()
    assert ids(await connector.find_customers(customer())) == {wanted}
    assert connector.settings_summary()["lookup"].startswith("scan")


async def test_what_was_found_out_is_remembered_for_a_day(desk: Desk) -> None:
    crowd(desk, 3)
    await desk.connector().find_customers(customer())
    asked = len(desk.queries())
    await desk.connector().find_customers(customer())
    await desk.connector().maintain()
    assert desk.queries()[asked:] == [{"page": "1", "page_size": "100", "email": "mona@example.com"}]
    desk.clock.advance(timedelta(hours=24).total_seconds())
    desk.nomod.filter_mode = "search"
    connector = desk.connector()
    await connector.maintain()
    assert connector.settings_summary()["lookup"].startswith("search")


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "null", "[]", "\x00", '{"mode":"auto","why":"","at":"x","account":1}',
        '{"mode":["scan"],"why":"","at":"2026-01-20T10:00:00Z","account":""}',
        '{"mode":"scan","why":"","at":"2026-01-20T10:00:00Z","account":1}',
        '{"mode":"auto","why":"","at":"2026-01-20T10:00:00Z","account":""}',
        '{"mode":"scan","why":"","at":"2026-01-20T10:00:00Z","account":"another"}',
    ],
)  # fmt: skip
async def test_a_memory_that_cannot_be_read_is_asked_for_again(desk: Desk, text: str) -> None:
    crowd(desk, 3)
    await desk.memory.put("nomod.lookup", text)
    connector = desk.connector()
    assert await connector.find_customers(customer()) == []
    assert connector.settings_summary()["lookup"] == "filter (`email` works)"


async def test_another_key_finds_out_anew(desk: Desk) -> None:
    crowd(desk, 3)
    await desk.connector().find_customers(customer())
    desk.nomod.api_key, desk.nomod.filter_mode = "sk_test_Another1.0123456789abcdefghijklmnopqrstuv", "ignored"
    connector = desk.connector(api_key=desk.nomod.api_key)
    assert await connector.find_customers(customer()) == []
    assert connector.settings_summary()["lookup"].startswith("scan")


async def test_a_filter_that_stops_working_makes_whole_lists_read_until_tomorrow(desk: Desk) -> None:
    crowd(desk, 120)
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    connector = desk.connector()
    await connector.find_customers(customer())
    desk.nomod.filter_mode = "ignored"
    assert ids(await connector.find_customers(customer())) == {wanted}
    assert desk.connector().settings_summary()["lookup"] == "not tried yet"
    asked = len(desk.queries())
    assert ids(await desk.connector().find_customers(customer())) == {wanted}
    assert all("email" not in query for query in desk.queries()[asked:])


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_parameter_that_is_refused_is_passed_over(desk: Desk, status: int) -> None:
    desk.nomod.filter_mode = "search"
    crowd(desk, 3)
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=LIST, status=status, skip=1))
    connector = desk.connector()
    assert ids(await connector.find_customers(customer())) == {wanted}
    assert connector.settings_summary()["lookup"] == "search (`search` works)"


async def test_a_trial_that_fails_decides_nothing(desk: Desk) -> None:
    crowd(desk, 3)
    for skip in range(3):
        desk.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route=LIST, skip=skip, times=2))
        with pytest.raises(ProviderError):
            await desk.connector().find_customers(customer())
        assert await desk.memory.get("nomod.lookup") is None


async def test_a_parameter_that_finds_nobody_at_all_is_not_relied_on(desk: Desk) -> None:
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    connector = desk.connector()

    async def blind(call: Call, moment: Moment) -> None:
        desk.nomod.envelope = {"count": 0, "results": []} if {"email", "search"} & call.query.keys() else None

    desk.nomod.hook = blind
    assert ids(await connector.find_customers(customer())) == {wanted}
    assert connector.settings_summary()["lookup"].startswith("scan")


@pytest.mark.parametrize("forced", ["filter", "search", "scan"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_forced_way_asks_nothing_first_and_still_compares_each_row(
    desk: Desk, forced: str, mode: FilterMode
) -> None:
    desk.nomod.filter_mode = mode
    crowd(desk, 30)
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    connector = desk.connector(lookup=forced)
    assert ids(await connector.find_customers(customer())) == {wanted}
    assert connector.settings_summary()["lookup"] == f"{forced} (as set)"
    assert all("probe" not in str(query) for query in desk.queries())


async def test_a_forced_filter_that_tells_letters_apart_is_asked_in_small_letters_too(desk: Desk) -> None:
    desk.nomod.filter_ignores_case = False
    wanted = {desk.nomod.seed(first_name="Mona", email=text) for text in ("mona@example.com", "Mona@Example.com")}
    found = await desk.connector(lookup="filter").find_customers(customer(email="Mona@Example.com"))
    assert ids(found) == wanted


async def test_nothing_beside_the_address_is_looked_up_before_a_create(desk: Desk) -> None:
    crowd(desk, 3)
    one = customer(phone="+971501234567")
    assert await desk.connector(lookup="filter", marker=True).find_customers(one) == []
    assert len(desk.queries()) == 1


async def test_a_refused_filter_makes_the_whole_list_be_read(desk: Desk) -> None:
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=LIST))
    assert ids(await desk.connector(lookup="filter").find_customers(customer())) == {wanted}


# With the intent of a create


async def test_the_holder_of_the_phone_number_is_found_for_a_refused_create(desk: Desk) -> None:
    crowd(desk, 3)
    holder = desk.nomod.seed(first_name="Other", email="other@example.com", phone_number="+971501234567")
    one = customer(phone="+971 50 123 4567")
    for mode in MODES:
        desk.nomod.filter_mode = mode
        connector = desk.connector(lookup=WAYS[mode])
        assert await connector.find_customers(one) == []
        found = await connector.find_customers(one, intent=desk.intent())
        assert ids(found) == {holder}
        assert found[0].emails == ("other@example.com",)


async def test_a_phone_number_in_a_long_list_that_ignores_search_adds_nothing(desk: Desk) -> None:
    crowd(desk, 3)
    connector = desk.connector(lookup="filter")
    desk.nomod.envelope = {"count": 2_001, "results": []}
    with pytest.raises(UnexpectedResponseError):
        await connector.find_customers(customer(), intent=desk.intent())
    desk.nomod.envelope = None
    for _ in range(2_001):
        desk.nomod.seed(first_name="Guest", phone_number="+971501234567")
    assert await connector.find_customers(customer(phone="+971501234567"), intent=desk.intent()) == []


async def test_candidates_carry_the_time_at_which_they_were_made(desk: Desk) -> None:
    made = desk.clock.now() - timedelta(days=3)
    desk.nomod.seed(first_name="Mona", last_name="Salem", email="mona@example.com", created=made)
    desk.nomod.hidden = frozenset({"created"})
    connector = desk.connector()
    (early,) = await connector.find_customers(customer())
    assert early.created_at is None
    assert desk.nomod.calls_of(GET) == []
    (found,) = await connector.find_customers(customer(), intent=desk.intent())
    assert found.created_at == made
    assert found.created_at.tzinfo is UTC
    assert (found.name, found.emails, found.active, found.adoptable) == (
        "Mona Salem", ("mona@example.com",), True, True,
    )  # fmt: skip


async def test_a_customer_that_goes_between_list_and_read_is_no_answer(desk: Desk) -> None:
    one = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    desk.nomod.hidden = frozenset({"created"})

    async def remove(call: Call, moment: Moment) -> None:
        if moment is Moment.BEFORE and call.path.endswith(one):
            desk.nomod.remove(one)

    desk.nomod.hook = remove
    with pytest.raises(UnexpectedResponseError):
        await desk.connector().find_customers(customer(), intent=desk.intent())


async def test_a_time_that_nothing_tells_stays_unknown(desk: Desk) -> None:
    one = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    desk.nomod.hidden = frozenset({"created"})
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=GET, status=405, body=b""))
    (found,) = await desk.connector().find_customers(customer(), intent=desk.intent())
    assert (found.provider_entity_id, found.created_at) == (one, None)


@pytest.mark.parametrize("unset", ["empty", "null", "absent"])
async def test_fields_without_a_value_are_read_however_they_are_shown(desk: Desk, unset: str) -> None:
    desk.nomod.unset = unset  # type: ignore[assignment]
    one = desk.nomod.seed(first_name="", business_name="Acme", email="mona@example.com")
    desk.nomod.seed(first_name="No address")
    (found,) = await desk.connector(lookup="scan").find_customers(customer(), intent=desk.intent())
    assert (found.provider_entity_id, found.name, found.phone, found.marker) == (one, "Acme", "", None)
