"""A day's work: a decision taken, a dead letter retried, and pages that follow what happens meanwhile."""

import time

import pytest
from selenium.webdriver.common.by import By

from tests.browser.screen import Screen
from tests.browser.stage import Stage
from tests.harness import NOMOD, QUICKBOOKS, Rig

pytestmark = pytest.mark.browser


async def set_up(rig: Rig) -> None:
    """Configure a source and a connection."""
    await rig.add_flexprice()
    await rig.add_nomod()


async def to_decide(rig: Rig) -> str:
    """Have a customer under review; return its id."""
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email="bea@example.com")
    bea = rig.flexprice.add_customer(name="Bea", email="bea@example.com")
    await rig.finalize(bea["id"])
    await rig.finish()
    return str(bea["id"])


async def dead_letters(rig: Rig, *names: str) -> None:
    """Have customers without an e-mail address."""
    for name in names:
        await rig.finalize(rig.flexprice.add_customer(name=name, email="")["id"])
    await rig.finish()


def test_a_decision_is_taken_between_two_candidates(stage: Stage, screen: Screen) -> None:
    stage.run(set_up(stage.rig))
    customer = stage.run(to_decide(stage.rig))
    screen.log_in()
    assert screen.heading == "1 needs you."
    screen.press("1 decision to take")
    screen.check()
    screen.press("Decide")
    assert screen.heading == "Which record is it?"
    screen.sees("Bea One", "Bea Two", "≠ differs", "= same")
    screen.check()
    screen.check_narrow()
    screen.press("Adopt this one")
    screen.sees(f"{customer} is being linked to", "All quiet")
    stage.run(stage.rig.finish())
    assert stage.run(stage.rig.linked(customer)) is not None
    assert len(stage.rig.nomod.customers) == 2


def test_dead_letters_are_retried_once_their_cause_is_cured(stage: Stage, screen: Screen) -> None:
    rig = stage.rig
    stage.run(set_up(rig))
    stage.run(dead_letters(rig, "No Mail", "Nor This"))
    screen.log_in()
    screen.open("/needs")
    screen.sees("Missing required fields", "Fill in name and e-mail", "No Mail", "Nor This")
    screen.check()
    for number, customer in enumerate(rig.flexprice.customers.values()):
        customer["email"] = f"found{number}@example.com"
    screen.press("Retry the ticked")
    screen.sees("2 due now", "All quiet")
    stage.run(rig.finish())
    assert len(rig.nomod.customers) == 2
    stage.run(dead_letters(rig, "Once More"))
    screen.open("/jobs?status=failed")
    screen.press("job_")
    screen.sees("Dead letter")
    screen.check()
    screen.press("Retry now")
    screen.sees("It is due now")


def test_a_list_says_how_many_came_and_does_not_jump(stage: Stage, screen: Screen) -> None:
    rig = stage.rig
    stage.run(set_up(rig))
    stage.run(rig.send(b'{"event_type":"first"}'))
    stage.run(rig.finish())
    screen.log_in()
    screen.open("/deliveries")
    screen.sees("first")
    assert "new – show" not in screen.text
    stage.run(rig.send(b'{"event_type":"second"}'))
    screen.sees("1 new – show")
    stage.run(rig.send(b'{"event_type":"third"}'))
    screen.sees("2 new – show")
    assert "second" not in screen.text
    screen.check()
    screen.press("2 new – show")
    screen.sees("second", "third")


def test_one_delivery_and_the_overview_follow_what_happens(stage: Stage, screen: Screen) -> None:
    rig = stage.rig
    stage.run(set_up(rig))
    stage.run(rig.pause(NOMOD))
    ada = rig.flexprice.add_customer(name="Ada", email="ada@example.com")
    delivery = stage.run(rig.finalize(ada["id"]))
    stage.run(rig.finish())
    screen.log_in()
    screen.open(f"/deliveries/{delivery}")
    screen.sees("In progress")
    stage.run(rig.resume(NOMOD))
    stage.run(rig.finish())
    screen.sees("Processed", f"Mapped on {NOMOD}", "Written back")
    screen.check()
    screen.open()
    screen.sees("All quiet.")
    stage.run(dead_letters(rig, "No Mail"))
    screen.sees("1 needs you.")
    assert screen.driver.find_element(By.CSS_SELECTOR, "[data-needs]").text == "1"


SLOW_ANSWERS = """
const real = window.fetch;
window.fetch = (...asked) => real(...asked).then((answer) => new Promise((ok) => setTimeout(ok, 2000, answer)));
"""


def test_what_changes_while_a_page_is_fetched_is_not_missed(stage: Stage, screen: Screen) -> None:
    rig = stage.rig
    stage.run(set_up(rig))
    stage.run(rig.add_quickbooks())
    for connection in (NOMOD, QUICKBOOKS):
        stage.run(rig.pause(connection))
    delivery = stage.run(rig.finalize(rig.flexprice.add_customer(name="Ada", email="ada@example.com")["id"]))
    stage.run(rig.finish())
    screen.log_in()
    screen.open(f"/deliveries/{delivery}")
    screen.driver.execute_script(SLOW_ANSWERS)
    stage.run(rig.resume(NOMOD))
    stage.run(rig.finish())
    time.sleep(1)  # the page has been asked for by now, and its answer is on its way for as long again
    stage.run(rig.resume(QUICKBOOKS))
    stage.run(rig.finish())
    screen.sees("Processed", f"Mapped on {NOMOD}", f"Mapped on {QUICKBOOKS}")


def test_what_somebody_has_opened_is_not_taken_away_by_what_happens(stage: Stage, screen: Screen) -> None:
    rig = stage.rig
    stage.run(set_up(rig))
    stage.run(rig.send(b'{"event_type":"first"}'))
    stage.run(rig.finish())
    screen.log_in()
    screen.click("Show as a table")
    stage.run(dead_letters(rig, "No Mail"))
    screen.sees("1 needs you.")
    assert screen.driver.find_element(By.CSS_SELECTOR, ".chart details").get_attribute("open") is not None


def test_a_page_whose_session_is_over_says_so(stage: Stage, screen: Screen) -> None:
    stage.run(set_up(stage.rig))
    screen.log_in()
    screen.open("/deliveries")
    other = screen.driver.current_window_handle
    screen.driver.switch_to.new_window("tab")
    screen.open()
    screen.press("Log out")
    screen.sees("You are logged out")
    screen.driver.close()
    screen.driver.switch_to.window(other)
    stage.run(stage.rig.send(b'{"event_type":"first"}'))
    screen.sees("You were logged out.", "Log in again")
    screen.listen()
    screen.complaints.clear()  # the browser notes the stream's 401


def test_a_page_whose_gateway_is_away_says_so(stage: Stage, screen: Screen) -> None:
    stage.run(set_up(stage.rig))
    screen.log_in()
    assert "does not answer" not in screen.text
    stage.run(stage.rig.stop_nodes())
    screen.sees("does not answer at the moment")
    screen.listen()
    screen.complaints.clear()  # the browser notes the stream that was cut


def test_a_form_is_sent_once_however_often_it_is_pressed(stage: Stage, screen: Screen) -> None:
    rig = stage.rig
    stage.run(set_up(rig))
    delivery = stage.run(rig.send(b'{"event_type":"first"}'))
    stage.run(rig.finish())
    screen.log_in()
    screen.open(f"/deliveries/{delivery}")
    button = screen.named("button", "Replay")
    screen.driver.execute_script("arguments[0].click(); arguments[0].click(); arguments[0].click()", button)
    screen.sees("It is dispatched again")
    stage.run(rig.finish())
    assert stage.run(rig.delivery(delivery)).replays == 1


def test_times_are_local_with_utc_beside_them(stage: Stage, screen: Screen) -> None:
    stage.run(set_up(stage.rig))
    delivery = stage.run(stage.rig.send(b'{"event_type":"first"}'))
    stage.run(stage.rig.finish())
    screen.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Dubai"})
    try:
        screen.log_in()
        screen.open(f"/deliveries/{delivery}")
        received = stage.run(stage.rig.delivery(delivery)).received_at
        time = screen.driver.find_element(By.TAG_NAME, "time")
        assert f"{(received.hour + 4) % 24:02}:{received:%M:%S}" in time.text
        assert f"{received:%Y-%m-%d %H:%M:%S} UTC" in str(time.get_attribute("title"))
        screen.sees("Asia/Dubai")
    finally:
        screen.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_reading_and_acting_need_no_script(stage: Stage, screen: Screen) -> None:
    stage.run(set_up(stage.rig))
    customer = stage.run(to_decide(stage.rig))
    screen.without_script(off=True)
    try:
        screen.driver.get(f"{stage.url}/console/needs")
        screen.driver.find_element(By.ID, "key").send_keys("admin-key-of-the-tests")
        for selector, place in (
            ("button.primary", "/needs"),
            ("ul.cards .button", "/reviews/"),
            ("tfoot button", "/needs"),
        ):
            screen.driver.find_element(By.CSS_SELECTOR, selector).click()
            screen.arrives(place)
        assert "is being linked to" in screen.driver.find_element(By.CSS_SELECTOR, ".note").text
        screen.driver.get(f"{stage.url}/console/deliveries")
        assert " UTC" in screen.driver.find_element(By.TAG_NAME, "time").text
    finally:
        screen.without_script(off=False)
    stage.run(stage.rig.finish())
    assert stage.run(stage.rig.linked(customer)) is not None
