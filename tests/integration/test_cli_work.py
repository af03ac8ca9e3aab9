"""`delivery`, `job`, `mapping`, `review`: looked at, repeated, decided; the gateway beside carries it out."""

import asyncio
import csv
import io
import json
import time
from pathlib import Path

import pytest

from tests.harness import NOMOD, QUICKBOOKS, SOURCE, Rig
from tests.integration.cli_setup import PATIENCE, Cli, cli_of, interrupt


@pytest.fixture
def cli(rig: Rig, tmp_path: Path) -> Cli:
    return cli_of(rig, tmp_path)


async def one_customer(rig: Rig, **customer: str) -> tuple[str, str]:
    """Finalize an invoice of a new customer; return the customer's and the delivery's ids."""
    made = rig.flexprice.add_customer(**{"name": "Ada Lovelace", "email": "ada@example.com", **customer})
    delivery_id = await rig.finalize(made["id"])
    await rig.finish()
    return made["id"], delivery_id


async def failed_job(rig: Rig) -> tuple[str, str]:
    """Bring about a job that has failed for good: a customer without an e-mail address. Return customer and job."""
    customer_id, delivery_id = await one_customer(rig, email="")
    jobs = (await rig.store.list_jobs(delivery_id=delivery_id)).items
    assert [str(job.status) for job in jobs] == ["failed"]
    return customer_id, jobs[0].job_id


async def test_deliveries_are_listed_shown_and_replayed(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    customer_id, delivery_id = await one_customer(rig)
    listed = await cli.json("delivery", "list", "--source", SOURCE, "--status", "processed")
    assert [(each["delivery_id"], each["entity_id"]) for each in listed["items"]] == [(delivery_id, customer_id)]
    assert (await cli.json("delivery", "list", "--status", "failed"))["items"] == []
    assert (await cli.json("delivery", "list", "--since", "1h", "--text", customer_id))["items"] == listed["items"]
    assert (await cli.json("delivery", "list", "--until", "2020-01-01"))["items"] == []

    shown = await cli.json("delivery", "show", delivery_id)
    assert {job["kind"] for job in shown["jobs"]} == {"ensure_customer", "write_back"}
    assert customer_id in json.dumps(json.loads((await cli.ok("delivery", "show", delivery_id, "--body")).out))
    told = (await cli.ok("delivery", "show", delivery_id)).out
    assert customer_id in told
    headers = {name.lower(): value for name, value in shown["headers"]}
    signature = next(value for name, value in headers.items() if name.endswith("-signature"))
    assert signature not in told
    assert f"[{len(signature)} characters]" in told
    assert headers["content-type"] in told
    jobs = told.partition("Jobs, oldest first:")[2]
    assert "  about  " in jobs.splitlines()[1]
    places = [jobs.index(each["job_id"]) for each in shown["jobs"]]
    assert places == sorted(places)

    planned = await cli.json("delivery", "replay", delivery_id, "--dry-run")
    assert (planned["matched"], planned["changed"], planned["dry_run"]) == (1, 1, True)
    replayed = await cli.ok("delivery", "replay", delivery_id)
    assert replayed.out == "1 delivery replayed, of 1 found.\n"
    await rig.finish()
    assert len(rig.nomod.customers) == 1, "a replay makes nobody twice"
    nobody = await cli.json("delivery", "replay", "--status", "failed")
    assert (nobody["matched"], nobody["changed"]) == (0, 0)
    unknown = await cli.run("delivery", "show", "dlv_nowhere")
    assert (unknown.code, unknown.error.startswith("not_found: ")) == (1, True)


async def test_a_failed_job_shows_its_cause_and_is_retried(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    customer_id, job_id = await failed_job(rig)
    listed = (await cli.json("job", "list", "--status", "failed", "--connection", NOMOD))["items"]
    assert [(job["job_id"], job["error"]["code"]) for job in listed] == [(job_id, "missing_required_fields")]
    shown = await cli.json("job", "show", job_id)
    assert (len(shown["attempts"]), shown["attempts"][0]["error"]["code"]) == (1, "missing_required_fields")
    table = await cli.ok("job", "show", job_id)
    assert "missing_required_fields" in table.out
    assert "Attempts, oldest first:" in table.out
    jobs = (await cli.ok("job", "list")).out
    assert "missing_required_fields" in jobs
    assert "about" in jobs.splitlines()[0].split()

    rig.flexprice.customers[customer_id]["email"] = "ada@example.com"
    planned = await cli.ok("job", "retry", "--error-code", "missing_required_fields", "--dry-run")
    assert planned.out == "1 job would be retried, of 1 found.\n"
    assert (await cli.json("job", "show", job_id))["status"] == "failed"
    done = await cli.json("job", "retry", "--error-code", "missing_required_fields")
    assert (done["matched"], done["changed"], done["skipped"], done["dry_run"]) == (1, 1, 0, False)
    await rig.finish()
    assert (await cli.json("job", "show", job_id))["status"] == "succeeded"
    again = await cli.run("job", "retry", job_id)
    assert (again.code, again.error.startswith("conflict: ")) == (1, True)


async def test_many_jobs_need_a_filter_or_all_and_what_is_skipped_asks_for_a_person(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    _, first = await failed_job(rig)
    _, second = await failed_job(rig)
    for arguments in (("job", "retry"), ("job", "cancel"), ("delivery", "replay")):
        bare = await cli.run(*arguments)
        assert (bare.code, bare.out, "or --all" in bare.error) == (2, "", True)
    both = await cli.run("job", "cancel", first, "--all")
    assert (both.code, "not both" in both.error) == (2, True)
    wrong = await cli.run("job", "cancel", first, "job_nowhere")
    assert (wrong.code, wrong.error.startswith("not_found: ")) == (1, True)
    assert (await cli.json("job", "show", first))["status"] == "failed", "a wrong id changes nothing"

    cancelled = await cli.ok("job", "cancel", first, "--reason", "a test customer")
    assert cancelled.out == "1 job cancelled, of 1 found.\n"
    shown = await cli.json("job", "show", first)
    assert (shown["status"], shown["reason"]) == ("cancelled", "cancelled by cli: a test customer")
    some = await cli.run("job", "cancel", first, second, "--json")
    assert (some.code, some.document["changed"], some.document["skipped"]) == (3, 1, 1)
    assert [each["id"] for each in some.document["refused"]] == [first]
    everything = await cli.json("job", "cancel", "--all")
    assert everything["matched"] == 0


async def test_mappings_are_linked_unlinked_and_asked_for_at_the_provider(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    customer_id, _ = await one_customer(rig)
    (mapping,) = (await cli.json("mapping", "list", "--entity-id", customer_id))["items"]
    assert (mapping["status"], mapping["connection"]) == ("linked", NOMOD)
    key = (SOURCE, customer_id, NOMOD)
    assert (await cli.json("mapping", "show", *key)) == mapping

    gone = await cli.json("mapping", "unlink", *key, "--reason", "wrong company")
    assert gone["provider_entity_id"] == mapping["provider_entity_id"]
    missing = await cli.run("mapping", "show", *key)
    assert (missing.code, missing.error.startswith("not_found: ")) == (1, True)

    unknown = await cli.run("mapping", "link", *key, "00000000-0000-4000-8000-000000000000")
    assert (unknown.code, unknown.error.startswith("record_unknown: ")) == (1, True)
    linked = await cli.json("mapping", "link", *key, mapping["provider_entity_id"])
    assert (linked["status"], linked["origin"]) == ("linked", "operator")
    taken = await cli.run("mapping", "link", SOURCE, "cust_other", NOMOD, mapping["provider_entity_id"])
    assert (taken.code, taken.error.startswith("record_taken: ")) == (1, True)
    trusted = await cli.json("mapping", "link", SOURCE, "cust_other", NOMOD, "not-there-yet", "--no-verify")
    assert trusted["provider_entity_id"] == "not-there-yet"


async def test_mappings_go_out_and_in_again_and_nothing_changes(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    for number in range(3):
        link = ("mapping", "link", SOURCE, f"cust_{number}", NOMOD, f"record-{number}", "--no-verify")
        await cli.ok(*link)
    exported = await cli.ok("mapping", "export")
    rows = list(csv.DictReader(io.StringIO(exported.out)))
    assert [row["provider_entity_id"] for row in rows] == ["record-0", "record-1", "record-2"]
    assert [row["entity_id"] for row in await cli.json("mapping", "export")] == ["cust_0", "cust_1", "cust_2"]
    file = cli.folder / "mappings.json"
    await cli.ok("mapping", "export", "--output", str(file))
    assert file.stat().st_mode & 0o077 == 0
    over = await cli.run("mapping", "export", "--output", str(file))
    assert (over.code, over.error.startswith("request_invalid: mappings.json exists already")) == (1, True)

    same = await cli.json("mapping", "import", str(file))
    assert (same["rows"], same["linked"], same["unchanged"]) == (3, 0, 3)
    lines = "source,entity_id,connection,provider_entity_id\r\n"
    lines += f"{SOURCE},cust_9,{NOMOD},record-9\r\n{SOURCE},cust_8,{NOMOD},record-0\r\n{SOURCE},,{NOMOD},x\r\n"
    planned = await cli.json("mapping", "import", "-", "--dry-run", stdin=lines, code=3)
    assert (planned["linked"], planned["refused"], planned["dry_run"]) == (1, 2, True)
    done = await cli.run("mapping", "import", "-", stdin=lines)
    assert (done.code, done.out) == (3, "3 rows: 1 linked, 0 as they were, 2 refused.\n")
    assert done.err.startswith("row 2: record_taken: ")
    broken = await cli.run("mapping", "import", "-", "--format", "json", stdin="[")
    assert (broken.code, broken.error.startswith("request_invalid: ")) == (1, True)


async def test_a_review_is_shown_with_its_candidates_and_resolved(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks()
    known = rig.intuit.seed_customer(DisplayName="Lovelace Engines", email="ada@example.com")
    await one_customer(rig)
    (review,) = (await cli.json("review", "list"))["items"]
    assert [candidate["provider_entity_id"] for candidate in review["candidates"]] == [known["Id"]]
    table = await cli.ok("review", "show", review["review_id"])
    assert "Lovelace Engines" in table.out
    assert "--decision adopt" in table.out
    assert "A wrong link mixes two accounts" in table.out
    assert (review["candidates"][0]["differs"], review["undo"]) == (["name"], None)
    assert [choice["decision"] for choice in review["choices"]] == ["adopt", "create", "ignore"]

    resolve = ("review", "resolve", review["review_id"], "--decision")
    for wrong in (("adopt",), ("create", "--provider-entity-id", "1"), ("merge",)):
        misused = await cli.run(*resolve, *wrong)
        assert (misused.code, misused.out) == (2, "")
    unknown = await cli.run(*resolve, "adopt", "--provider-entity-id", "99999")
    assert (unknown.code, unknown.error.startswith("record_unknown: ")) == (1, True)
    done = await cli.json(*resolve, "adopt", "--provider-entity-id", known["Id"])
    assert (done["status"], done["decision"], done["resolved_by"]) == ("resolved", "adopt", "cli")
    await rig.finish()
    (mapping,) = (await cli.json("mapping", "list", "--connection", QUICKBOOKS))["items"]
    assert (mapping["provider_entity_id"], mapping["status"]) == (known["Id"], "linked")
    assert (await cli.ok("review", "list")).err == "Nothing waits for a decision.\n"
    assert len((await cli.json("review", "list", "--status", "all"))["items"]) == 1
    twice = await cli.run(*resolve, "ignore")
    assert (twice.code, twice.error.startswith("conflict: ")) == (1, True)


async def test_a_decision_is_taken_back_as_the_review_says(cli: Cli, rig: Rig) -> None:
    """Ignored: the job is retried and asks again. Adopted: another record is linked, and the platform is told."""
    await rig.add_flexprice()
    await rig.add_quickbooks()
    wrong = rig.intuit.seed_customer(DisplayName="Lovelace Engines", email="ada@example.com")["Id"]
    await one_customer(rig)
    first = await rig.open_review()
    ignored = await cli.json("review", "resolve", first.review_id, "--decision", "ignore")
    assert ignored["undo"] == f"`ledgergate job retry {first.job_id}` asks again."
    await cli.ok("job", "retry", str(first.job_id))
    await rig.finish()
    again = await rig.open_review()
    assert again.review_id != first.review_id
    adopted = await cli.json(
        "review", "resolve", again.review_id, "--decision", "adopt", "--provider-entity-id", wrong
    )  # fmt: skip
    await rig.finish()
    right = rig.intuit.seed_customer(DisplayName="Ada Lovelace", email="lovelace@example.com")["Id"]
    command = adopted["undo"].split("`")[1].replace("RECORD", right).removeprefix("ledgergate ").split()
    await cli.ok(*command)
    await rig.finish()
    (mapping,) = (await cli.json("mapping", "list", "--connection", QUICKBOOKS))["items"]
    assert (mapping["provider_entity_id"], mapping["origin"]) == (right, "operator")
    [customer] = rig.flexprice.customers.values()
    assert customer["metadata"]["quickbooks_customer_id"] == right


async def test_a_decision_that_a_paused_connection_cannot_carry_out_asks_for_a_person(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks()
    rig.intuit.seed_customer(DisplayName="Lovelace Engines", email="ada@example.com")
    await one_customer(rig)
    (review,) = (await cli.json("review", "list"))["items"]
    await cli.ok("connection", "pause", QUICKBOOKS)
    done = await cli.run("review", "resolve", review["review_id"], "--decision", "create", "--json")
    assert (done.code, done.document["decision"]) == (3, "create")
    assert "is paused (paused_by_operator)" in done.error


async def test_keys_are_made_shown_once_used_and_revoked(cli: Cli, rig: Rig) -> None:
    made = await cli.json(
        "key", "create", "reader", "--tenant-id", "tenant_123", "--environment-id", "prod", "--role", "viewer"
    )
    assert (made["name"], made["role"], made["tenant_id"]) == ("reader", "viewer", "tenant_123")
    headers = {"Authorization": f"Bearer {made['key']}"}
    status, _ = await rig.api("GET", "/api/v1/deliveries", **headers)
    assert status == 200
    cli.canaries.append(made["key"])
    listed = (await cli.json("key", "list", "--tenant-id", "tenant_123"))["items"]
    assert [(key["key_id"], key["status"]) for key in listed] == [(made["key_id"], "active")]
    assert (await cli.json("key", "revoke", "reader"))["status"] == "revoked"
    deadline = time.monotonic() + PATIENCE
    while (await rig.api("GET", "/api/v1/deliveries", **headers))[0] != 401:
        assert time.monotonic() < deadline, "a revoked key is still taken"
        await asyncio.sleep(0.05)
    alone = await cli.ok("key", "create", "script")
    assert (alone.out.startswith("lgk_"), len(alone.out.splitlines())) == (True, 1)
    wrong = await cli.run("key", "create", "x", "--role", "king")
    assert (wrong.code, wrong.out) == (2, "")


async def test_listening_prints_what_comes_and_what_becomes_of_it_until_it_is_interrupted(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    process = await cli.start("listen")
    assert process.stdout is not None
    assert process.stderr is not None
    assert b"Listening" in await asyncio.wait_for(process.stderr.readline(), 30)
    customer = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    delivery_id = await rig.finalize(customer["id"])
    lines: list[str] = []
    while not any(line.startswith("job_") and " succeeded " in line for line in lines):
        lines.append((await asyncio.wait_for(process.stdout.readline(), 30)).decode())
    assert any(line.startswith(delivery_id) and customer["id"] in line for line in lines)
    interrupt(process)
    await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130


async def test_a_payment_link_is_printed_alone_and_is_the_same_when_asked_for_again(rig: Rig, cli: Cli) -> None:
    await rig.add_flexprice()
    await rig.add_nomod(outbound=False)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoice = str(rig.flexprice.add_invoice(ada["id"])["id"])
    made = await cli.run("payment-link", "create", invoice, "--connection", NOMOD, "--wait", "60")
    [link] = rig.nomod.links.values()
    assert (made.code, made.out) == (0, f"{link['url']}\n")
    again = await cli.json("payment-link", "create", invoice, "--connection", NOMOD)
    assert (again["status"], again["url"]) == ("ready", link["url"])
    await rig.pause(NOMOD)
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    waiting = await cli.run("payment-link", "create", invoice, "--connection", NOMOD, "--wait", "0")
    assert (waiting.code, waiting.out) == (1, "")
    assert "link_pending" in waiting.err
    unknown = await cli.run("payment-link", "create", "inv_none", "--connection", NOMOD)
    assert unknown.code == 1
    assert unknown.err.startswith("invoice_not_found: ")
