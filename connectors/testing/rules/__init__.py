"""The rules of the quality scale, in the order of the report: by tier, then as written.

`RULES` are for every connector, `INVOICE_RULES`, `LINK_RULES` and `PAYMENT_RULES` for those that have the capability.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from connectors.base import Connector
from connectors.invoices import InvoiceSync
from connectors.links import PaymentLinks
from connectors.payments import Payments
from connectors.testing.rulebook import Rule, Tier
from connectors.testing.rules import (
    creates,
    failures,
    invoices,
    link_sums,
    links,
    lookups,
    manners,
    matching,
    once,
    payments,
    privacy,
    settings,
    text,
)

_MODULES = (once, lookups, creates, matching, failures, privacy, manners, settings, text)


def _ordered(found: list[Rule]) -> Mapping[str, Rule]:
    return MappingProxyType({one.name: one for tier in Tier for one in found if one.tier is tier})


RULES: Mapping[str, Rule] = _ordered([found for module in _MODULES for found in module.RULES])
INVOICE_RULES: Mapping[str, Rule] = _ordered(invoices.RULES)
LINK_RULES: Mapping[str, Rule] = _ordered([*links.RULES, *link_sums.RULES])
PAYMENT_RULES: Mapping[str, Rule] = _ordered(payments.RULES)
BY_CAPABILITY: Mapping[type, Mapping[str, Rule]] = MappingProxyType(
    {InvoiceSync: INVOICE_RULES, PaymentLinks: LINK_RULES, Payments: PAYMENT_RULES}
)
"""What a connector may mix in → the rules that come on top."""
ALL_RULES: Mapping[str, Rule] = MappingProxyType(
    {**RULES, **{name: one for more in BY_CAPABILITY.values() for name, one in more.items()}}
)


def rules_for(connector: type[Connector[Any]]) -> Mapping[str, Rule]:
    """Return the rules that a connector is held to, by what it can."""
    able = [more for capability, more in BY_CAPABILITY.items() if issubclass(connector, capability)]
    return MappingProxyType({**RULES, **{name: one for more in able for name, one in more.items()}})


__all__ = ["ALL_RULES", "BY_CAPABILITY", "INVOICE_RULES", "LINK_RULES", "PAYMENT_RULES", "RULES", "rules_for"]
