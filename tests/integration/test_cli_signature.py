"""`signature`: what a sender would send, and why a captured request is refused."""

import json
import time
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from gateway.sources.signing import new_secret
from tests.integration.cli_setup import Cli

BODY = '{"type":"transaction.created","timestamp":"2026-01-20T10:30:00Z","data":{"transaction_id":"ch_1"}}'


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(folder=tmp_path, database=tmp_path / "signature.db")


async def test_what_is_signed_verifies_here_and_with_the_standards_own_library(cli: Cli) -> None:
    secret = new_secret()
    reference = cli.secret("SECRET", secret)
    body = cli.write("body.json", BODY)
    signed = await cli.json("signature", "sign", body, "--secret", reference)
    assert set(signed["headers"]) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert Webhook(secret).verify(BODY, signed["headers"]) == json.loads(BODY)

    lines = await cli.ok("signature", "sign", "-", "--secret", reference, "--scheme", "svix", stdin=BODY)
    assert lines.out.startswith("svix-id: msg_")
    headers = cli.write("headers.txt", lines.out)
    verified = await cli.json("signature", "verify", body, "--headers", headers, "--secret", reference)
    assert (verified["valid"], verified["scheme"], verified["secret_index"]) == (True, "svix", 0)
    assert not cli.database.exists(), "no database is needed"


async def test_a_refusal_tells_its_reason_which_senders_never_hear(cli: Cli) -> None:
    reference = cli.secret("SECRET", new_secret())
    other = cli.secret("OTHER", new_secret())
    body = cli.write("body.json", BODY)
    old = str(int(time.time()) - 3600)
    sign = ("signature", "sign", body, "--secret", reference)
    headers = cli.write("headers.txt", (await cli.ok(*sign, "--timestamp", old, "--id", "msg_1")).out)
    verify = ("signature", "verify", body, "--headers", headers)
    stale = await cli.run(*verify, "--secret", reference, "--json")
    assert (stale.code, stale.document) == (1, {"valid": False, "reason": "timestamp_stale"})
    assert stale.error.startswith("signature_invalid: timestamp_stale. ")
    then = await cli.json(*verify, "--secret", other, "--secret", reference, "--at", old)
    assert (then["delivery_key"], then["secret_index"]) == ("msg_1", 1)
    wrong = await cli.run(*verify, "--secret", other, "--at", old)
    assert (wrong.code, wrong.error.startswith("signature_invalid: signature_mismatch. ")) == (1, True)
    unsigned = await cli.run("signature", "verify", body, "--secret", reference, "--header", "content-type: x")
    assert (unsigned.code, unsigned.error.startswith("signature_invalid: headers_missing. ")) == (1, True)


async def test_a_stored_source_signs_with_its_own_way_and_secret(cli: Cli) -> None:
    body = cli.write("body.json", BODY)
    reference = cli.secret("SECRET", new_secret())
    await cli.ok("source", "add", "tithely-main", "--platform", "tithely", "--secret", reference)
    headers = cli.write("headers.txt", (await cli.ok("signature", "sign", body, "--source", "tithely-main")).out)
    verify = ("signature", "verify", body, "--headers", headers)
    assert (await cli.json(*verify, "--source", "tithely-main"))["valid"] is True
    assert (await cli.json(*verify, "--secret", reference))["valid"] is True

    token = cli.secret("TOKEN", "canary-token-of-a-static-header")
    static = ("--verification", "static-header", "--header", "X-Token")
    await cli.ok("source", "add", "legacy", "--platform", "flexprice", "--secret", token, *static)
    cli.canaries.remove("canary-token-of-a-static-header")
    signed = await cli.json("signature", "sign", body, "--source", "legacy")
    assert signed == {"headers": {"X-Token": "canary-token-of-a-static-header"}}
    argument = await cli.run("signature", "verify", body, "--source", "legacy", "--header", "X-Token: secret")
    assert (argument.code, "no argument" in argument.error) == (2, True)


async def test_the_secret_is_given_one_way_and_never_as_an_argument(cli: Cli) -> None:
    secret = new_secret()
    cli.canaries.append(secret)
    body = cli.write("body.json", BODY)
    for arguments in (("--secret", secret), (), ("--secret", "env:X", "--secret-stdin")):
        refused = await cli.run("signature", "sign", body, *arguments)
        assert (refused.code, refused.out) == (2, "")
    assert (await cli.run("signature", "sign", "-", "--secret-stdin", stdin=secret)).code == 2
    assert (await cli.ok("signature", "sign", body, "--secret-stdin", stdin=secret)).out.startswith("webhook-id: ")
    weak = await cli.run("signature", "sign", body, "--secret-stdin", stdin="whsec_c2hvcnQ=")
    assert (weak.code, weak.error.startswith("config_invalid: secret 1: has 5 bytes")) == (1, True)
    missing = await cli.run("signature", "sign", str(cli.folder / "nowhere"), "--secret-stdin", stdin=secret)
    assert (missing.code, missing.error.startswith("io_failed: ")) == (1, True)
