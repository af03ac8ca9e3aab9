"""How things stand, in the console: the guide, the overview and its chart, narrowed lists, and the search."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from gateway.keys import QUARANTINE
from tests.configuring import SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.console_setup import ADA, ROOT, Browsers, browsers, configured, linked


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    async with configured(rig) as opened:
        yield opened


async def test_without_anything_configured_the_overview_is_the_guide(rig: Rig) -> None:
    async with browsers(rig) as who:
        guide = await who.admin.follow(await who.admin.get("", status=303))
        assert guide.heading == "Set up ledgergate"
        assert f"{rig.gateway.url}{ROOT}/sources/new" in guide.links
        assert "done" not in guide.text.split()
        assert (await who.viewer.get("")).heading == "All quiet."


async def test_the_guide_ticks_off_what_is_really_there(rig: Rig, who: Browsers) -> None:
    assert (await who.admin.get("/guide")).text.count("to do") == 2
    assert f"{rig.gateway.url}{ROOT}/guide" in (await who.admin.get("")).links, "the way goes on until one is linked"
    await linked(rig)
    assert f"{rig.gateway.url}{ROOT}/guide" not in (await who.admin.get("")).links
    guide = await who.admin.get("/guide")
    assert guide.heading == "Everything is set up"
    assert "to do" not in guide.text


async def test_the_overview_says_in_one_sentence_how_things_stand(rig: Rig, who: Browsers) -> None:
    await linked(rig)
    quiet = await who.viewer.get("")
    assert quiet.heading == "All quiet."
    assert "1 deliveries: 1 processed" in quiet.html
    await rig.finalize(rig.flexprice.add_customer(name="No Mail", email="")["id"])
    await rig.finish()
    assert (await who.viewer.get("")).heading == "1 needs you."
    await rig.pause(NOMOD)
    needing = await who.viewer.get("")
    assert needing.heading == "2 need you."
    assert "1 dead letter, 1 paused connection" in needing.text


async def test_the_overview_has_a_light_with_a_word_for_every_source_and_connection(rig: Rig, who: Browsers) -> None:
    page = await who.viewer.get("")
    assert "Not heard yet" in page.text
    assert "Active" in page.text
    rig.secret, right = "whsec_" + "A" * 43 + "=", rig.secret
    await rig.post(b"{}")
    rig.secret = right
    await rig.gateway.app[QUARANTINE].flush(rig.store)
    assert "Refusing" in (await who.viewer.get("")).text
    await linked(rig)
    await rig.gateway.app[QUARANTINE].flush(rig.store)
    assert "Receiving" in (await who.viewer.get("")).text
    await rig.pause(NOMOD)
    assert "Paused" in (await who.viewer.get("")).text


@pytest.mark.parametrize("span", ["1h", "24h", "7d", "nonsense"])
async def test_the_chart_is_drawn_for_each_span_and_told_in_words_too(rig: Rig, who: Browsers, span: str) -> None:
    await linked(rig)
    page = await who.viewer.get(f"?span={span}")
    assert 'role="img"' in page.html
    assert page.html.count("<rect") > 5
    assert "Show as a table" in page.text
    rig.clock.advance(timedelta(days=8).total_seconds())
    await who.viewer.log_in(who.keys["viewer"])
    assert "Nothing received" in (await who.viewer.get(f"?span={span}")).text


async def test_lists_are_empty_in_words(rig: Rig, who: Browsers) -> None:
    for path, told in (
        ("/deliveries", "No delivery yet"), ("/jobs", "No job yet"), ("/customers", "No customer yet"),
        ("/needs", "All quiet"), ("/search", "What are you looking for?"),
        ("/deliveries?q=nothing", "Nothing matches"), ("/jobs?q=nothing", "Nothing matches"),
        ("/customers?q=nobody", "Nobody found"), ("/audit?action=none", "Nothing matches"),
        ("/search?q=nothing", "Nothing found"),
    ):  # fmt: skip
        assert told in (await who.viewer.get(path)).text, path
    assert "No connection yet" in (await who.stranger.get("/connections")).text
    assert "No source yet" in (await who.stranger.get("/sources")).text


async def test_lists_are_narrowed_by_their_address(rig: Rig, who: Browsers) -> None:
    customer, delivery = await linked(rig)
    await rig.finalize(rig.flexprice.add_customer(name="No Mail", email="")["id"])
    await rig.finish()
    for path, count in (
        ("/deliveries", 2), ("/deliveries?status=failed", 1), ("/deliveries?status=processed", 1),
        (f"/deliveries?source={SOURCE}", 2), ("/deliveries?source=none", 0), ("/deliveries?q=Lovelace", 1),
        (f"/deliveries?connection={NOMOD}&error_code=missing_required_fields", 1),
        ("/deliveries?until=2020-01-01T00:00", 0), ("/deliveries?since=2020-01-01T00:00:00&until=nonsense", 2),
        ("/deliveries?since=0001-01-01T00:00%2B23:59&until=9999-12-31T23:59:59", 2),
        (f"/deliveries?q={delivery}", 1), (f"/deliveries?q={customer}", 1), ("/deliveries?period=1h", 2),
        ("/deliveries?event_type=invoice.update.finalized", 2), ("/deliveries?event_type=other", 0),
        ("/deliveries?status=nonsense&period=nonsense", 2),
    ):  # fmt: skip
        page = await who.viewer.get(path)
        assert page.html.count("<tr><td>") == count, path
    for path, count in (
        ("/jobs?status=failed", 1), ("/jobs?kind=write_back", 1), (f"/jobs?connection={NOMOD}&q=Lovelace", 2),
        ("/jobs?error_code=missing_required_fields", 1), ("/jobs?source=none", 0), ("/jobs?period=24h", 3),
    ):  # fmt: skip
        page = await who.viewer.get(path)
        assert page.html.count("<tr><td>") == count, path


async def test_a_list_goes_on_where_its_page_ends_and_a_made_up_cursor_is_refused(rig: Rig, who: Browsers) -> None:
    for _ in range(60):
        await rig.send(b'{"type": "nothing.at.all"}')
    await rig.finish()
    first = await who.viewer.get("/deliveries")
    older = next(link for link in first.links if "cursor=" in link)
    second = await who.viewer.ask("GET", older.removeprefix(rig.gateway.url))
    assert (first.html.count("<tr><td>"), second.html.count("<tr><td>")) == (50, 10)
    assert "Back to the newest" in second.text
    assert (await who.viewer.get("/deliveries?cursor=made-up", status=400)).heading == "Cursor invalid"


async def test_search_finds_by_every_id_and_name_and_leads_straight_to_an_id_of_ours(rig: Rig, who: Browsers) -> None:
    customer, delivery = await linked(rig)
    job, record = await rig.job(kind="ensure_customer"), await rig.linked(customer)
    for text in ("Lovelace", "ada@example", customer, record, job.subject):
        page = await who.viewer.get(f"/search?q={text}")
        assert ADA["name"] in page.text or "invoice.update.finalized" in page.text, text
    straight = await who.viewer.get(f"/search?q={delivery}", status=303)
    assert straight.location == f"{ROOT}/deliveries/{delivery}"
    assert (await who.viewer.get(f"/search?q={job.job_id}", status=303)).location == f"{ROOT}/jobs/{job.job_id}"
    assert NOMOD in (await who.viewer.get("/search?q=nomod")).text
