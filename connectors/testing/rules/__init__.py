"""The rules of the quality scale, in the order of the report: by tier, then as written."""

from collections.abc import Mapping
from types import MappingProxyType

from connectors.testing.rulebook import Rule, Tier
from connectors.testing.rules import creates, failures, lookups, manners, matching, once, privacy, settings, text

_MODULES = (once, lookups, creates, matching, failures, privacy, manners, settings, text)
_ALL = [found for module in _MODULES for found in module.RULES]

RULES: Mapping[str, Rule] = MappingProxyType(
    {found.name: found for tier in Tier for found in _ALL if found.tier is tier}
)

__all__ = ["RULES"]
