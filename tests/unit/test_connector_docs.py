"""The pages for authors say what the code does: rules, hooks, errors, and the public API is pinned."""

import inspect
import re
from pathlib import Path

import pytest

import connectors
import connectors.testing
from connectors import API_VERSION, Connector, ConnectorError
from connectors.testing.rulebook import Rule, Tier
from connectors.testing.rules import ALL_RULES as RULES
from gateway.errors import PluginError
from gateway.plugins import connector_plugins

DOCS = Path(__file__).resolve().parents[2] / "docs"
QUALITY, WRITING = (DOCS / "connector-quality.md").read_text("utf-8"), (DOCS / "connectors.md").read_text("utf-8")
HOOKS = [name for name, member in vars(Connector).items() if inspect.isfunction(member) and not name.startswith("_")]


def section(rule: Rule) -> str:
    """What the page says of a rule."""
    return QUALITY.partition(f"\n### {rule.name}\n")[2].partition("\n#")[0]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_every_rule_has_reason_example_and_how_it_is_checked(rule: Rule) -> None:
    told = section(rule)
    for word in ("Reason", "Example", "Checked"):
        assert re.search(rf"^\*\*{word}\.\*\* \S.{{20,}}", told, re.MULTILINE), f"{word} is missing"
    assert ("**Exempt**" in told) is (rule.exemption is not None)


def test_the_rules_stand_under_their_tiers_and_no_others_do() -> None:
    for tier in Tier:
        part = QUALITY.partition(f"\n## {tier.value.capitalize()}\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"^### (\S+)$", part, re.MULTILINE)) == {r.name for r in RULES.values() if r.tier is tier}
    assert len(re.findall(r"^### ", QUALITY, re.MULTILINE)) == len(RULES)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_its_words_an_example_and_a_line_in_the_table(hook: str) -> None:
    doc = inspect.getdoc(getattr(Connector, hook)) or ""
    assert "Example:" in doc
    unusual = {"idempotency_scope", "console_url", "settings_summary"}  # one line each in the docstring says it all
    assert hook in unusual or re.search(rf"^\|.*`{hook}`.*\|.*\|.*\|$", WRITING, re.MULTILINE)


def test_every_error_that_an_author_may_raise_is_public_and_in_a_table() -> None:
    def family(kind: type[ConnectorError]) -> set[type[ConnectorError]]:
        return {kind} | {found for child in kind.__subclasses__() for found in family(child)}

    ours = {kind.__name__ for kind in family(ConnectorError) if kind.__module__ == "connectors.errors"}
    assert ours <= set(connectors.__all__)
    # What only the gateway or the HTTP layer raises, or what is a base, needs no advice.
    elsewhere = {
        "ConnectorError", "PauseError", "EdgeBlockedError", "OutcomeUnknownError", "StaleRecordError",
        "AddressRefusedError",
    }  # fmt: skip
    assert {name for name in ours - elsewhere if f"`{name}`" not in WRITING} == set()


def test_the_public_api_is_what_it_was() -> None:
    """Adding a name is free; taking one away, or giving it another meaning, needs a new API_VERSION."""
    assert API_VERSION == 1
    assert connectors.__all__ == sorted(connectors.__all__)
    assert connectors.__all__ == [
        "API_VERSION", "Account", "AccountBlockedError", "Action", "Address", "AddressRefusedError", "AdoptOnName",
        "AmountInexactError", "AuthenticationError", "Candidate", "ConfigurationError", "Connector",
        "ConnectorConfig", "ConnectorError", "Consent", "CreateIntent", "Created", "CreatedInvoice", "CreatedLink",
        "Customer", "DuplicateRefusedError", "EdgeBlockedError", "Exchange", "Host", "Inactive", "InvalidEmailError",
        "Invoice", "InvoiceCandidate", "InvoiceLine", "InvoiceStatus", "InvoiceSync", "JsonApi", "Limiter", "Limits",
        "LinkCandidate", "LookupImpossibleError", "MatchOn", "MatchPolicy", "Memory", "MissingFieldsError",
        "MoneyError", "NeedsReauthError", "NotOfferedError", "OAuthConsent", "OutcomeUnknownError", "PaidFor",
        "PaidKind", "PauseError", "Payment", "PaymentLinkRequest", "PaymentLinks", "PaymentStatus", "Payments",
        "PermissionRefusedError", "ProviderError", "RateLimitedError", "Recovery", "Reduction", "RejectedError",
        "Reply", "StaleCustomerError", "StaleRecordError", "TaxLine", "TokenStore", "Tokens", "TokensChangedError",
        "UnexpectedResponseError", "UnreachableError", "classify", "money", "short_number",
    ]  # fmt: skip
    assert connectors.testing.__all__ == [
        "Asked", "Call", "Clock", "Fault", "FaultKind", "FaultPlan", "Harness", "MemoryTokens", "Moment", "Record",
        "Service", "Simulator", "State",
    ]  # fmt: skip
    for module in (connectors, connectors.testing):
        assert all(hasattr(module, name) for name in module.__all__)


def test_a_name_that_is_not_installed_is_refused_with_those_that_are() -> None:
    with pytest.raises(PluginError, match=r"'nope' is not installed; there are: .*nomod, quickbooks"):
        connector_plugins().load("nope")
