"""The console's forms: from the models of connectors and back, and whatever a browser does not send."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.nomod.config import NomodConfig
from connectors.quickbooks.config import QuickBooksConfig
from gateway.console.config_form import fields_of, label_of, settings_from
from gateway.console.forms import MAX_FIELDS, MAX_FORM_BYTES
from gateway.console.pages.settings import settings_view
from gateway.settings import Settings
from tests.harness import Rig
from tests.integration.console_setup import ROOT, Browsers, browsers


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    """A gateway without anything configured; and browsers with each kind of key."""
    async with browsers(rig) as opened:
        yield opened


# From a model to a form and back -------------------------------------------------------------------------------------


def test_a_form_has_a_field_for_every_setting_of_a_connector() -> None:
    for model in (NomodConfig, QuickBooksConfig):
        fields = {field.name: field for field in fields_of(model, "config.")}
        assert list(fields) == list(model.model_fields)
        assert all(field.label and field.description.endswith((".", "?", "!")) for field in fields.values())
    nomod_fields = {field.name: field for field in fields_of(NomodConfig, "config.")}
    assert nomod_fields["api_key"].kind == "password"
    assert nomod_fields["api_key"].required
    assert nomod_fields["marker"].kind == "checkbox"
    assert nomod_fields["match"].options == ("strict", "email")
    assert nomod_fields["recovery_lookups"].value == "5, 20, 60, 180, 600"
    assert nomod_fields["timeout_seconds"].kind == "number"
    intuit = {field.name: field for field in fields_of(QuickBooksConfig, "config.")}
    assert (intuit["refresh_token"].kind, intuit["refresh_token"].required) == ("password", False)


def test_what_is_left_at_its_default_is_not_stored() -> None:
    fields = {field.input: field.value for field in fields_of(QuickBooksConfig, "config.")}
    filled = {**fields, "config.client_id": "id", "config.client_secret": "secret", "config.match": "email"}
    found = settings_from(QuickBooksConfig, "config.", filled)
    assert found == {"client_id": "id", "client_secret": "secret", "match": "email"}
    more = {
        **filled,
        "config.recovery_lookups": "1, 2,3",
        "config.match_multi_email": "yes",
        "config.replay_seconds": "5",
    }
    found = settings_from(QuickBooksConfig, "config.", more)
    assert QuickBooksConfig.model_validate(found).recovery_lookups == (1.0, 2.0, 3.0)
    assert (found["match_multi_email"], found["replay_seconds"]) == (True, "5")


def test_stored_values_come_back_in_the_form_and_secrets_do_not() -> None:
    fields = fields_of(NomodConfig, "config.", values={"marker": True, "api_key": "sk_x"}, stored=("api_key",))
    shown = {field.name: field for field in fields}
    assert shown["marker"].value == "yes"
    assert (shown["api_key"].value, shown["api_key"].stored, shown["api_key"].required) == ("", True, False)


def test_names_become_labels() -> None:
    assert [label_of(name) for name in ("api_key", "base_url", "client_id", "match")] == [
        "API key", "Base URL", "Client ID", "Match",
    ]  # fmt: skip


# What a browser does not send ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body,content_type,status",
    [
        (b"x" * (MAX_FORM_BYTES + 1), None, 413), (b"&".join([b"a=1"] * (MAX_FIELDS + 1)), None, 400),
        (b"a=%ff", None, 400), (b"\xff=1", None, 400), (b"{}", "application/json", 400),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 400), (b"", None, 403), (b"a", None, 403),
    ],
)  # fmt: skip
async def test_a_form_that_no_page_sends_is_refused(
    who: Browsers, body: bytes, content_type: str | None, status: int
) -> None:
    headers: Any = {"Content-Type": content_type} if content_type else None
    for path in ("/sources", "/logout", "/login"):
        answer = await who.administrator.ask("POST", ROOT + path, body, headers=headers)
        assert answer.status == status, (path, answer.text)
        assert "<h1>" in answer.html


def test_settings_of_the_environment_stand_as_they_are_written_there() -> None:
    shown = {each["name"]: each["value"] for each in settings_view(Settings())}
    assert shown["LEDGERGATE_LEASE_SECONDS"] == "30"
    assert shown["LEDGERGATE_ALLOW_PRIVATE_ADDRESSES"] == "false"
    assert shown["LEDGERGATE_RETRY_SCHEDULE"].startswith("5, 30, 120")
