"""What each page of the console tells of one thing, how it tells of errors, and names that bite."""

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
from tests.integration.console_setup import ADA, ROOT, Browsers, configured, linked
from tests.integration.payment_setup import an_invoice, tell

BITING = "<script>alert(1)</script>'\"&{{7*7}}"


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    async with configured(rig) as opened:
        yield opened


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


async def test_a_job_about_an_invoice_shows_what_was_paid_of_it_and_what_the_platform_knows(
    rig: Rig, who: Browsers
) -> None:
    await rig.add_nomod(invoices=True)
    await rig.add_nomod_events()
    _, invoice = an_invoice(rig)
    await rig.announce(invoice)
    await rig.finish()
    [record] = rig.nomod.invoices
    charge = rig.nomod.pay_invoice(record)
    await tell(rig, charge)
    [job] = await rig.jobs(kind="ensure_invoice")
    page = await who.viewer.get(f"/jobs/{job.job_id}")
    assert all(each in page.text for each in ("Paid", "1500.00 AED", charge, "told"))
    assert "given back" not in page.text
    rig.nomod.charges[charge]["status"] = "refunded"
    await tell(rig, charge)
    assert "given back" in (await who.viewer.get(f"/jobs/{job.job_id}")).text


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
