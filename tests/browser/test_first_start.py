"""From a first start to a customer in the ledger, all of it with a mouse: the story of the guide."""

import pytest

from tests.browser.screen import Screen
from tests.browser.stage import Stage
from tests.configuring import SOURCE, TENANT
from tests.harness import NOMOD

pytestmark = pytest.mark.browser


def test_from_nothing_to_a_mapped_customer(stage: Stage, screen: Screen) -> None:
    rig = stage.rig
    screen.open()
    assert screen.heading == "Log in"
    screen.check()
    screen.log_in()
    assert screen.heading == "Set up ledgergate"
    screen.check()

    screen.press("Add a source")
    screen.check()
    screen.press("Add Flexprice")
    screen.fill("Name", SOURCE)
    screen.fill("Tenant", TENANT)
    screen.fill("Signing secret, or the fixed token", rig.secret)
    screen.fill("Address of the platform's API", rig.flexprice.api_url)
    screen.fill("API key of the platform", rig.flexprice.api_key)
    screen.check()
    screen.press("Save")
    assert f"{stage.url}/webhooks/{SOURCE}" in screen.text
    screen.check()

    screen.open("/guide")
    screen.press("Add a connection")
    screen.press("Add Nomod")
    screen.fill("Name", NOMOD)
    screen.fill("Tenant", TENANT)
    screen.fill("API key", "sk_test_not_the_right_one")
    screen.click("More settings")
    screen.fill("Base URL", rig.nomod.url)
    screen.check()
    screen.press("Test and save")
    screen.sees("authentication_failed", "Nothing was saved")
    screen.complaints.clear()  # the browser notes the answer's status, which is the provider's refusal
    screen.fill("API key", rig.nomod.api_key)
    screen.press("Test and save")
    screen.sees("Created, and the credentials work")
    screen.check()

    screen.open("/guide")
    screen.press(f"Send a test event to {SOURCE}")
    screen.sees("A signed test event was accepted")
    assert screen.heading.startswith("ledgergate.test")

    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    delivery = stage.run(rig.finalize(ada["id"]))
    stage.run(rig.finish())
    screen.open(f"/deliveries/{delivery}")
    screen.sees(f"Mapped on {NOMOD}", f"Written back to {SOURCE}", "no record is this customer's")
    screen.check()
    screen.open("/customers")
    screen.sees("Ada Lovelace", "created by ledgergate")
    screen.open()
    screen.sees("All quiet.")
    screen.check()
    assert len(rig.nomod.customers) == 1


def test_the_header_of_a_fixed_token_is_asked_for_only_with_one(stage: Stage, screen: Screen) -> None:
    screen.log_in()
    screen.open("/sources/new?platform=flexprice")
    assert "Header of the fixed token" not in screen.text
    screen.fill("How it proves who it is", "a fixed token")
    screen.sees("Header of the fixed token")
    screen.check()


def test_quickbooks_is_connected_by_a_persons_consent(stage: Stage, screen: Screen) -> None:
    rig = stage.rig
    stage.run(rig.add_flexprice())
    screen.log_in()
    screen.open("/connections/new?connector=quickbooks")
    screen.fill("Name", "qbo")
    screen.fill("Tenant", TENANT)
    screen.fill("Client ID", rig.intuit.client_id)
    screen.fill("Client secret", rig.intuit.client_secret)
    screen.click("More settings")
    for label, address in (
        ("Base URL", rig.intuit.base_url), ("Authorize URL", rig.intuit.authorize_url),
        ("Token URL", rig.intuit.token_url), ("Revoke URL", rig.intuit.revoke_url),
    ):  # fmt: skip
        screen.fill(label, address)
    screen.press("Save, then connect")
    screen.sees("Nobody has connected a company yet")
    screen.press("Connect with QuickBooks Online")
    screen.check()
    screen.press("Continue to QuickBooks Online")
    screen.sees("Connected", rig.intuit.realm_id)
    screen.press("Back to the console")
    screen.sees("Connections", rig.intuit.realm_id, "Consent ends")
    assert screen.heading.startswith("qbo")
    screen.check()
    grace = rig.flexprice.add_customer(name="Grace Hopper", email="grace@example.com")
    stage.run(rig.finalize(grace["id"]))
    stage.run(rig.finish())
    screen.open(f"/customers/{grace['id']}")
    screen.sees("Grace Hopper", "Linked")
    assert len(rig.intuit.customers_with_email("grace@example.com")) == 1


def test_a_link_in_a_message_leads_who_is_logged_in_to_its_page(stage: Stage, screen: Screen) -> None:
    screen.log_in()
    screen.driver.get(f"{stage.rig.nomod.url}/nothing")
    link = f"{stage.url}/console/audit"
    screen.driver.execute_script("location.href = arguments[0]", link)
    screen.until(lambda: screen.driver.current_url == link and screen.heading == "Audit", "the page behind the link")
    screen.listen()
    screen.complaints.clear()  # of the page from which the link came
