"""Pages for everybody: for keyboards, screen readers, weak eyes, dark rooms and narrow screens; and no inline code."""

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from gateway import keys
from tests.browser.screen import CHECKS, Screen
from tests.browser.stage import Stage
from tests.browser.test_work import dead_letters, set_up, to_decide
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig

pytestmark = pytest.mark.browser

BAD = """<!doctype html><title></title><style>
body { background: #fff } .pale { color: #aaa } .tiny { padding: 0; border: 1px solid #eee; width: 9px; height: 9px }
</style><a class="skip" href="#nowhere">x</a><nav></nav><h1>One</h1><h3>Skipped</h3><h1>Two</h1><p class="pale">Pale</p>
<input id="a"><input id="a" class="tiny" aria-label="tiny"><button></button><a href="#"></a><img src="data:,">
<svg></svg><table><tr><th>Head</th></tr></table><label for="gone">Gone</label><span class="badge">only colour</span>
<button tabindex="3">forced</button>"""


async def a_full_house(rig: Rig) -> dict[str, str]:
    """Have something of everything, alerts included; return the pages that show it, which change no more."""
    await set_up(rig)
    await rig.add_quickbooks()
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    delivery = await rig.finalize(ada["id"])
    await to_decide(rig)
    await dead_letters(rig, "No Mail")
    await rig.send(b"not json")
    await rig.post(b"{}", source=SOURCE)
    await rig.pause(QUICKBOOKS)
    await rig.finish()
    watch = rig.gateway.app[keys.ALERTS]
    await watch.stop()
    await watch.turn()
    review = await rig.open_review()
    job = (await rig.jobs(kind="ensure_customer", entity_id=ada["id"]))[0]
    return {
        "overview": "", "needs": "/needs", "deliveries": "/deliveries", "delivery": f"/deliveries/{delivery}",
        "jobs": "/jobs", "job": f"/jobs/{job.job_id}", "attempt": f"/jobs/{job.job_id}/attempts/1",
        "review": f"/reviews/{review.review_id}", "customers": "/customers", "customer": f"/customers/{ada['id']}",
        "connections": "/connections", "connection": f"/connections/{NOMOD}", "paused": f"/connections/{QUICKBOOKS}",
        "new connection": "/connections/new", "connection form": "/connections/new?connector=quickbooks",
        "edit": f"/connections/{NOMOD}/edit", "sources": "/sources", "source": f"/sources/{SOURCE}",
        "new source": "/sources/new", "source form": "/sources/new?platform=tithely", "audit": "/audit",
        "settings": "/settings", "keys": "/settings/keys", "guide": "/guide", "search": "/search?q=Ada",
        "error code": "/errors/rate_limited", "nothing": "/nothing/here", "empty": "/deliveries?q=nothing",
    }  # fmt: skip


def test_every_page_keeps_to_the_checks_in_light_and_dark_wide_and_narrow(stage: Stage, screen: Screen) -> None:
    pages = stage.run(a_full_house(stage.rig))
    screen.open("/login")
    screen.check_both_schemes()
    screen.log_in()
    for path in pages.values():
        screen.open(path)
        screen.check_both_schemes()
        screen.check_narrow()
    screen.listen()
    missing = [each for each in screen.complaints if "/console/nothing/here" in each]
    assert len(missing) == 1
    assert screen.complaints == missing
    screen.complaints.clear()


def test_the_checks_find_what_is_wrong(screen: Screen, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(BAD, "utf-8")
    screen.driver.get(page.as_uri())
    found = "; ".join(screen.driver.execute_script(CHECKS + "; return problems();"))
    for told in (
        "no language", "no title", "not one main", "skip link", "navigation has no name", "not one first heading",
        "skips a level", "too little contrast", "nothing names <input", "nothing names <button", "nothing names <a",
        "no alt", "neither named nor hidden", "no caption", "no scope", "colour alone", "stands twice", "names gone",
        "order of the keyboard", "too small to hit", "edge of a field",
    ):  # fmt: skip
        assert told in found, told


def test_all_of_a_page_is_reached_by_keyboard_and_the_focus_shows(stage: Stage, screen: Screen) -> None:
    pages = stage.run(a_full_house(stage.rig))
    screen.log_in()
    for name in ("overview", "needs", "review", "connection form"):
        screen.open(pages[name])
        script = (
            "return Array.from(document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary'))"
            ".filter((each) => shown(each) && !each.disabled && !each.closest('details:not([open]) > :not(summary)'))"
            ".length"
        )
        count = int(screen.driver.execute_script(f"{CHECKS}; {script}"))
        assert count > 15
        reached = [screen.tab() for _ in range(count)]
        assert reached[0]["name"] == "Skip to the content"
        assert all(each["ring"] and each["inside"] and each["name"] for each in reached), reached
        assert screen.tab()["name"] in ("", "Skip to the content")


def test_the_skip_link_leads_past_the_navigation_and_a_key_presses_a_button(stage: Stage, screen: Screen) -> None:
    stage.run(set_up(stage.rig))
    screen.open("/login")
    assert screen.driver.switch_to.active_element.get_attribute("id") == "key"
    screen.keys("admin-key-of-the-tests", Keys.ENTER)
    screen.until(lambda: screen.heading == "All quiet.", "the overview")
    screen.tab()
    screen.keys(Keys.ENTER)
    assert screen.driver.current_url.endswith("#main")
    assert screen.tab()["name"] == "go on with the set-up"  # the first link of the content: no customer is linked yet


def test_code_that_is_not_the_consoles_own_is_blocked_and_noted(stage: Stage, screen: Screen) -> None:
    screen.open("/login")
    screen.driver.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.inline = 1'; document.body.append(s);"
        "const p = document.createElement('p'); p.setAttribute('style', 'color: red'); document.body.append(p);"
        "const i = new Image(); i.src = 'http://127.0.0.1:9/x.png';"
    )
    assert screen.driver.execute_script("return window.inline || 0") == 0
    screen.until(lambda: len(screen.listen()) >= 3, "three complaints")
    blocked = [each for each in screen.complaints if "Content Security Policy" in each]
    assert len(blocked) == 3, screen.complaints
    screen.complaints.clear()


def test_the_console_cannot_be_framed(stage: Stage, screen: Screen, tmp_path: Path) -> None:
    page = tmp_path / "frame.html"
    page.write_text(f'<!doctype html><iframe src="{stage.url}/console/login"></iframe>', "utf-8")
    screen.driver.get(page.as_uri())
    screen.driver.switch_to.frame(0)
    assert "API key" not in screen.driver.page_source
    screen.driver.switch_to.default_content()
    screen.listen()
    assert any("frame" in each for each in screen.complaints)
    screen.complaints.clear()
