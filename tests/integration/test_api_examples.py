"""The examples of docs/api.md do what they say, one after the other, as a reader types them."""

import re
import shlex
from collections.abc import AsyncIterator

import pytest

from tests.configuring import ENVIRONMENT, SOURCE, TENANT
from tests.harness import ADMIN_KEY, NOMOD, Rig
from tests.integration.api_setup import Caller, Callers, configured
from tools.api_page import PAGE

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with configured(rig) as made:
        yield made


def commands() -> list[str]:
    """The commands of the page, each in one line."""
    text = "".join(BLOCK.findall(PAGE.read_text("utf-8"))).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ curl")]


async def values(rig: Rig, who: Callers) -> dict[str, str]:
    """Make what the examples speak of, and return the reader's variables."""
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email="bea@example.com")
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    delivery = await rig.finalize(ada["id"])
    await rig.finalize(rig.flexprice.add_customer(name="Bea", email="bea@example.com")["id"])
    await rig.finalize(rig.flexprice.add_customer(name="Cid", email="no address")["id"])
    await rig.finish()
    record = rig.nomod.seed(first_name="Old", email="old@example.com")
    other = rig.flexprice.add_customer(name="Dan", email="dan@example.com")
    return {
        "LEDGERGATE": rig.gateway.url, "KEY": ADMIN_KEY, "CUSTOMER": ada["id"], "DELIVERY": delivery,
        "JOB": (await who.admin.items("/jobs?status=failed"))[0]["job_id"], "RECORD": str(record),
        "REVIEW": (await who.admin.items("/reviews"))[0]["review_id"], "NOMOD": rig.nomod.url,
        "INVOICE": str(rig.flexprice.add_invoice(other["id"])["id"]),
    }  # fmt: skip


async def test_every_example_is_answered_well(rig: Rig, who: Callers) -> None:
    """The names of the examples are those of the tests: a tenant, a source and a connection."""
    assert (TENANT, ENVIRONMENT, SOURCE, NOMOD) == ("tenant_123", "prod", "flexprice-prod", "nomod-prod")
    known = await values(rig, who)
    tried = 0
    for command in commands():
        line = re.sub(r"\$([A-Z]+)", lambda found: known[found[1]], command)
        words = shlex.split(line)
        method, headers, body, url = "GET", {}, None, ""
        rest = iter(words[1:])
        for word in rest:
            if word == "-X":
                method = next(rest)
            elif word == "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            elif word == "-d":
                body = next(rest).encode()
            elif word != "-s":
                url = word
        caller = Caller(rig, who.admin.session, None)
        answer = await caller.ask(method, url.removeprefix(rig.gateway.url), raw=body, headers=headers)
        assert answer.status < 300, (command, answer.status, answer.body)
        tried += 1
    assert tried >= 15
