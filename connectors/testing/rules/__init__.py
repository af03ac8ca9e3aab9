"""The rules of the quality scale, in the order of the report: by tier, then as written.

`RULES` are for every connector, `INVOICE_RULES` for those that make invoices.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from connectors.base import Connector
from connectors.invoices import InvoiceSync
from connectors.testing.rulebook import Rule, Tier
from connectors.testing.rules import (
    creates,
    failures,
    invoices,
    lookups,
    manners,
    matching,
    once,
    privacy,
    settings,
    text,
)

_MODULES = (once, lookups, creates, matching, failures, privacy, manners, settings, text)


def _ordered(found: list[Rule]) -> Mapping[str, Rule]:
    return MappingProxyType({one.name: one for tier in Tier for one in found if one.tier is tier})


RULES: Mapping[str, Rule] = _ordered([found for module in _MODULES for found in module.RULES])
INVOICE_RULES: Mapping[str, Rule] = _ordered(invoices.RULES)
ALL_RULES: Mapping[str, Rule] = _ordered([*RULES.values(), *INVOICE_RULES.values()])


def rules_for(connector: type[Connector[Any]]) -> Mapping[str, Rule]:
    """Return the rules that a connector is held to, by what it can."""
    return ALL_RULES if issubclass(connector, InvoiceSync) else RULES


__all__ = ["ALL_RULES", "INVOICE_RULES", "RULES", "rules_for"]
