"""docs/console.md says what the code does: numbers, roles, and pictures of a bearable size."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.access import Role
from gateway.console.guard import POLICY
from gateway.console.live import HEARTBEAT_SECONDS, LIFE_SECONDS, MAX_EACH, MAX_STREAMS
from gateway.console.routes import LOGIN_BURST
from gateway.console.session import IDLE, LIFE
from gateway.console.words import (
    decision_said,
    delivery_said,
    mapping_said,
    outcome_said,
)
from storage.records import DeliveryStatus, MappingStatus
from tests.browser.screenshots import MAX_BYTES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "console.md").read_text("utf-8")
WORDS = {2: "two", 10: "Ten", 12: "twelve"}


def test_the_page_names_the_numbers_that_hold() -> None:
    plain = " ".join(PAGE.split())
    assert f"{WORDS[IDLE // timedelta(hours=1)]} hours without use" in plain
    assert f"after {WORDS[LIFE // timedelta(hours=1)]} hours at the latest" in plain
    assert f"{WORDS[LOGIN_BURST]} wrong keys" in plain
    assert f"at most {MAX_STREAMS} streams in one process and {MAX_EACH} for one session" in plain
    assert f"every {HEARTBEAT_SECONDS:.0f} seconds" in plain
    assert f"every {LIFE_SECONDS / 60:.0f} minutes" in plain
    assert POLICY.startswith("default-src 'none'; ")


def test_the_page_names_every_role() -> None:
    for role in Role:
        assert f"| `{role}` |" in PAGE


def test_every_picture_is_shown_somewhere_and_none_is_large() -> None:
    shown = set(re.findall(r"images/([\w-]+\.png)", PAGE + (ROOT / "README.md").read_text("utf-8")))
    there = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").glob("*.png")}
    assert set(there) == shown
    assert all(size < MAX_BYTES for size in there.values()), there


def test_every_state_has_words_of_its_own_and_an_unknown_one_is_shown_as_it_is() -> None:
    deliveries = {delivery_said(status) for status in DeliveryStatus}
    assert len({said.word for said in deliveries}) == len({said.shape for said in deliveries}) == len(DeliveryStatus)
    assert len({mapping_said(status).shape for status in MappingStatus}) == len(MappingStatus)
    assert outcome_said("something_new").word == "Something new"
    assert decision_said({"decision": "link", "origin": "adopted_email", "record": "58", "why": "same e-mail"}) == (
        "Linked 58: same e-mail."
    )


@pytest.mark.parametrize("decision", [None, {}, {"decision": "new_kind"}, {"decision": "link", "record": "1"}])
def test_a_decision_is_told_whatever_it_holds(decision: dict[str, str] | None) -> None:
    assert isinstance(decision_said(decision), str)
