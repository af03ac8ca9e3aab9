"""What the console's pages show: states in words, empty ones too, filters in the address, and names that bite."""

import html
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.testing.faults import Fault, FaultKind
from gateway.errors import catalogue
from gateway.keys import QUARANTINE
from gateway.operations.transfers import read_csv
from gateway.pipeline.poll_state import PollState, save_state
from tests.configuring import SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.console_setup import ROOT, Browsers, browsers

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
BITING = "<script>alert(1)</script>'\"&{{7*7}}"


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    """A tenant with a source and a connection; and browsers with each kind of key."""
    await rig.add_flexprice()
    await rig.add_nomod()
    async with browsers(rig) as opened:
        yield opened


async def linked(rig: Rig, **customer: str) -> tuple[str, str]:
    """Have a customer linked; return its id and that of the delivery."""
    made = rig.flexprice.add_customer(**{**ADA, **customer})
    delivery = await rig.finalize(made["id"])
    await rig.finish()
    return made["id"], delivery


async def test_without_anything_configured_the_overview_is_the_guide(rig: Rig) -> None:
    async with browsers(rig) as who:
        guide = await who.admin.follow(await who.admin.get("", status=303))
        assert guide.heading == "Set up ledgergate"
        assert f"{rig.gateway.url}{ROOT}/sources/new" in guide.links
        assert "done" not in guide.text.split()
        assert (await who.viewer.get("")).heading == "All quiet."


async def test_the_guide_ticks_off_what_is_really_there(rig: Rig, who: Browsers) -> None:
    assert (await who.admin.get("/guide")).text.count("to do") == 2
    await linked(rig)
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


async def test_one_delivery_tells_its_way_through_the_gateway(rig: Rig, who: Browsers) -> None:
    customer, delivery = await linked(rig)
    page = await who.viewer.get(f"/deliveries/{delivery}")
    told = ["Received", "Verified", "Stored", "Dispatched", f"Customer on {NOMOD}, attempt 1", f"Mapped on {NOMOD}",
            f"Written back to {SOURCE}, attempt 1"]  # fmt: skip
    places = [page.text.index(each) for each in told]
    assert places == sorted(places)
    assert "no record is this customer's" in page.text
    assert "took" in page.text
    assert customer in page.text
    assert ADA["email"] in page.text


async def test_a_payload_is_shown_pretty_raw_and_as_it_came(rig: Rig, who: Browsers) -> None:
    body = b'{"type":"nothing","note":"\xc3\xa9"}'
    delivery = await rig.send(body)
    await rig.finish()
    pretty = await who.viewer.get(f"/deliveries/{delivery}")
    assert "&#34;note&#34;: &#34;\u00e9&#34;" in pretty.html
    assert "{&#34;type&#34;:&#34;nothing&#34;" in (await who.viewer.get(f"/deliveries/{delivery}?view=raw")).html
    came = await who.viewer.get(f"/deliveries/{delivery}/body")
    assert came.body == body
    assert came.headers["Content-Type"] == "application/octet-stream"
    assert came.headers["Content-Disposition"].startswith("attachment")
    odd = await rig.send(b"\xff\x00not json")
    await rig.finish()
    page = await who.viewer.get(f"/deliveries/{odd}")
    assert "\\xff" in page.text
    assert page.heading.startswith("Delivery")


async def test_headers_are_shown_without_what_proves_anything(rig: Rig, who: Browsers) -> None:
    _, delivery = await linked(rig)
    headers = json.loads((await rig.store.get_delivery(delivery)).headers or b"[]")
    signature = next(value for name, value in headers if name.lower() == "svix-signature")
    page = await who.viewer.get(f"/deliveries/{delivery}")
    assert signature not in page.html
    assert "svix-signature" in page.text
    assert "[47 characters]" in page.text


async def test_a_delivery_whose_body_was_pruned_says_so(rig: Rig, who: Browsers) -> None:
    _, delivery = await linked(rig)
    await rig.store.prune_deliveries(before=rig.now() + timedelta(days=1))
    page = await who.operator.get(f"/deliveries/{delivery}")
    assert "The body was dropped after 90 days" in page.text
    assert "Its body was pruned" in page.text
    gone = await who.operator.get(f"/deliveries/{delivery}/body", status=410)
    assert gone.heading == "Body no longer kept"


async def test_one_attempt_shows_its_requests_and_its_error_with_cause_and_resolution(rig: Rig, who: Browsers) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, status=503, route="GET /v1/customers", times=9))
    rig.flexprice.add_customer(**ADA)
    await rig.finalize(next(iter(rig.flexprice.customers)))
    await rig.finish()
    job = await rig.job(kind="ensure_customer")
    first = await who.viewer.get(f"/jobs/{job.job_id}/attempts/1")
    error = next(entry for entry in catalogue() if entry.code == "provider_api_error")
    for told in (error.title, error.cause, error.resolution, "503", "GET", "attempt 2"):
        assert told in first.text, told
    assert f"{rig.gateway.url}{ROOT}/errors/{error.code}" in first.links
    assert '"email": "[15 characters]"' in html.unescape(first.html)  # what was searched for
    assert ADA["email"] not in first.html
    number = (await rig.store.get_job(job.job_id)).attempts
    last = await who.viewer.get(f"/jobs/{job.job_id}/attempts/{number}")
    assert "Created" in last.text
    assert "POST" in last.text
    assert "Sent" not in last.text.split()
    assert (await who.viewer.get(f"/jobs/{job.job_id}/attempts/{number + 1}", status=404)).heading == "Not found"
    page = await who.viewer.get(f"/jobs/{job.job_id}")
    assert "Failed, tried again later" in page.text


async def test_the_links_are_downloaded_as_the_import_takes_them(rig: Rig, who: Browsers) -> None:
    customer, _ = await linked(rig)
    assert f"{rig.gateway.url}{ROOT}/mappings.csv" in (await who.viewer.get("/customers")).links
    answer = await who.viewer.get("/mappings.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    (row,) = read_csv(answer.body.decode())
    assert (row["entity_id"], row["provider_entity_id"]) == (customer, await rig.linked(customer))
    assert read_csv((await who.stranger.get("/mappings.csv")).body.decode()) == []


async def test_every_error_code_has_a_page(who: Browsers) -> None:
    for entry in catalogue():
        page = await who.viewer.get(f"/errors/{entry.code}")
        assert page.heading == entry.title
        assert " ".join(entry.resolution.split()) in page.text
    await who.viewer.get("/errors/none", status=404)


async def test_customers_have_a_row_each_and_a_column_for_every_connection(rig: Rig, who: Browsers) -> None:
    await rig.add_quickbooks()
    customer, _ = await linked(rig)
    page = await who.viewer.get("/customers")
    record = await rig.linked(customer)
    assert record is not None
    for told in (ADA["name"], ADA["email"], NOMOD, "qbo-prod", record[-6:], "created by ledgergate"):
        assert told in page.text, told
    assert f'title="{record}"' in page.html
    one = await who.viewer.get(f"/customers/{customer}")
    assert "invoice" in one.text.lower()
    assert "Relink" not in one.text
    assert "Relink" in (await who.operator.get(f"/customers/{customer}")).text


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


async def test_names_that_bite_are_only_shown(rig: Rig, who: Browsers) -> None:
    customer, delivery = await linked(rig, name=BITING)
    await rig.send(json.dumps({"type": BITING, "note": BITING}).encode())
    await rig.finish()
    for path in (
        "", "/deliveries", f"/deliveries/{delivery}", "/jobs", "/customers", f"/customers/{customer}", "/audit",
        "/search?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/deliveries?q=%22%3E%3Cscript%3E&event_type=%27%22",
        "/errors/%3Cscript%3E",
    ):  # fmt: skip
        page = await who.viewer.ask("GET", ROOT + path)
        assert "<script>alert" not in page.html, path
    assert BITING in (await who.viewer.get("/customers")).text


async def test_times_are_absolute_and_in_utc_without_a_script(rig: Rig, who: Browsers) -> None:
    _, delivery = await linked(rig)
    at = (await rig.store.get_delivery(delivery)).received_at
    page = await who.viewer.get(f"/deliveries/{delivery}")
    assert f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M:%S} UTC</time>' in page.html


async def test_a_connection_shows_its_account_tokens_budget_and_breaker(rig: Rig, who: Browsers) -> None:
    await rig.add_quickbooks()
    assert "Not checked yet" in (await who.viewer.get("/connections/qbo-prod")).text
    await who.operator.post("/connections/qbo-prod/test")
    page = await who.viewer.get("/connections/qbo-prod")
    for told in (rig.intuit.realm_id, "8 a second, 480 a minute", "closed: work flows", "Consent ends", "never shown"):
        assert told in page.text, told


async def test_a_source_shows_its_url_what_was_refused_and_why(rig: Rig, who: Browsers) -> None:
    await linked(rig)
    rig.secret, right = "whsec_" + "A" * 43 + "=", rig.secret
    await rig.post(b'{"secret": "body"}')
    rig.secret = right
    await rig.gateway.app[QUARANTINE].flush(rig.store)
    page = await who.viewer.get(f"/sources/{SOURCE}")
    for told in (f"{rig.gateway.url}/webhooks/{SOURCE}", "signature_mismatch", "Secret 1 : last used", "openssl"):
        assert told in page.text, told
    assert "secret&#34;: &#34;body" not in page.html


async def test_a_polled_source_shows_its_last_look_the_next_and_what_went_wrong(rig: Rig, who: Browsers) -> None:
    now = rig.now()
    state = PollState(
        began=now, watermark=now - timedelta(minutes=7), next_at=now + timedelta(minutes=5), looked_at=now,
        polled_at=now - timedelta(minutes=7), delivered=3,
    )  # fmt: skip
    await save_state(rig.store, SOURCE, state, now=now)
    page = await who.viewer.get(f"/sources/{SOURCE}")
    for told in ("Polling Working", "Found by the last good look 3 deliveries"):
        assert told in page.text, told
    for moment in (state.next_at, state.watermark):
        assert f"{moment:%Y-%m-%d %H:%M:%S} UTC" in page.text
    assert "Polling" in (await who.viewer.get("/sources")).text  # what the lamp says of one never heard otherwise
    wrong = {"at": now.isoformat(), "code": "platform_unavailable", "detail": "HTTP 503 <b>"}
    await save_state(rig.store, SOURCE, replace(state, failures=1, error=wrong), now=now)
    page = await who.viewer.get(f"/sources/{SOURCE}")
    for told in ("Polling fails", "The last look failed platform_unavailable", "HTTP 503 <b>"):
        assert told in page.text, told
    assert f"{ROOT}/errors/platform_unavailable" in page.html
    assert "Polling fails" in (await who.viewer.get("")).text


async def test_the_audit_tells_who_did_what(rig: Rig, who: Browsers) -> None:
    await who.operator.post(f"/connections/{NOMOD}/pause", {"reason": "books are closed"})
    page = await who.viewer.get("/audit")
    assert "connection.paused" in page.text
    assert "key:operator" in page.text
    mine = await who.viewer.get(f"/audit?subject={NOMOD}")
    assert (page.html.count("<tr><td>"), mine.html.count("<tr><td>")) == (6, 2)
    assert "books are closed" not in mine.text


async def test_settings_are_the_admin_keys_and_hold_no_secret(rig: Rig, who: Browsers) -> None:
    page = await who.admin.get("/settings")
    assert "LEDGERGATE_RETENTION_DAYS" in page.text
    assert "set, never shown" in page.text
    for browser in (who.viewer, who.administrator):
        assert "LEDGERGATE_RETENTION_DAYS" not in (await browser.get("/settings")).text


async def test_the_check_up_says_what_doctor_says(rig: Rig, who: Browsers) -> None:
    await rig.pause(NOMOD)
    page = await who.admin.post("/settings/check-up")
    assert page.status == 200
    assert f"Connection {NOMOD} is paused" in page.text
    assert "Attention" in page.text


async def test_diagnostics_hold_states_and_neither_secrets_nor_people(rig: Rig, who: Browsers) -> None:
    customer, delivery = await linked(rig)
    answer = await who.admin.get("/settings/diagnostics")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    told = json.loads(answer.body)
    assert {"version", "settings", "sources", "connections", "findings", "backlog", "plugins"} <= set(told)
    assert told["connections"][0]["name"] == NOMOD
    for hidden in (ADA["name"], ADA["email"], customer, delivery, rig.secret, rig.nomod.api_key):
        assert hidden not in answer.html, hidden


async def test_an_unknown_page_is_a_page(who: Browsers) -> None:
    for browser in (who.viewer, who.nobody):
        page = await browser.get("/nothing/here", status=404)
        assert page.heading == "No such address"
    assert (await who.viewer.ask("DELETE", f"{ROOT}/jobs")).status == 404


async def test_when_the_store_is_gone_the_page_says_so(rig: Rig, who: Browsers) -> None:
    await rig.store.close()
    page = await who.viewer.get("/jobs", status=503)
    assert page.heading == "Store unavailable"


async def test_a_static_file_is_kept_for_good_under_its_hash_and_under_no_other(who: Browsers) -> None:
    page = await who.nobody.get("/login")
    start = page.html.index("/console/static/console.")
    url = page.html[start : page.html.index('"', start)]
    found = await who.nobody.ask("GET", url)
    assert found.status == 200
    assert found.headers["Content-Type"].startswith("text/css")
    assert "immutable" in found.headers["Cache-Control"]
    for wrong in ("/console/static/console.css", "/console/static/console.0000000000000000.css", "/console/static/.."):
        missing = await who.nobody.ask("GET", wrong)
        assert missing.status == 404, wrong
        assert missing.headers["Cache-Control"] == "no-store"
