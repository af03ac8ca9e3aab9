"""From a name to a connector or source class: our own and others' through the same entry points and the same checks."""

import inspect
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points, version
from typing import Any, Generic, TypeVar

from connectors.base import API_VERSION, Connector
from connectors.invoices import InvoiceSync
from connectors.links import PaymentLinks
from connectors.oauth import OAuthConsent
from connectors.payments import Payments
from gateway.errors import PluginError
from gateway.sources.base import SOURCE_API_VERSION, Source

CONNECTORS = "ledgergate.connectors"
SOURCES = "ledgergate.sources"
T = TypeVar("T")

# `python run.py` works from a checkout whose entry points are not installed.
_BUILT_IN = {
    CONNECTORS: {
        "nomod": "connectors.nomod:NomodConnector",
        "quickbooks": "connectors.quickbooks:QuickBooksConnector",
    },
    SOURCES: {
        "flexprice": "gateway.sources.flexprice:FlexpriceSource",
        "tirdad": "gateway.sources.tirdad:TirdadSource",
        "tithely": "gateway.sources.tithely:TithelySource",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A plugin that is installed, whether or not it works."""

    name: str
    value: str
    distribution: str
    version: str


class Plugins(Generic[T]):
    """The plugins of one group. Nothing is imported before it is used, so that a broken one harms nobody else."""

    def __init__(self, group: str, base: type[T], api_version: int) -> None:
        self._group, self._base, self._api_version = group, base, api_version
        self._entries: dict[str, list[EntryPoint]] = {}
        for name, value in _BUILT_IN[group].items():
            self._entries[name] = [EntryPoint(name, value, group)]
        for entry in _installed(group, tuple(sys.path)):
            known = self._entries.setdefault(entry.name, [])
            if entry.value not in {other.value for other in known}:
                known.append(entry)
        self._loaded: dict[str, type[T]] = {}

    def names(self) -> list[str]:
        """Return the names of all plugins installed."""
        return sorted(self._entries)

    def found(self) -> list[Found]:
        """Return where each plugin comes from."""
        listed = []
        for name in self.names():
            entry = self._entries[name][-1]
            distribution = entry.dist.name if entry.dist is not None else "ledgergate"
            number = entry.dist.version if entry.dist is not None else version("ledgergate")
            listed.append(Found(name=name, value=entry.value, distribution=distribution, version=number))
        return listed

    def load(self, name: str) -> type[T]:
        """Return the class behind a name. Raises PluginError with the reason."""
        if name in self._loaded:
            return self._loaded[name]
        entries = self._entries.get(name, [])
        if not entries:
            msg = f"{name!r} is not installed; there are: {', '.join(self.names())}"
            raise PluginError(msg)
        if len(entries) > 1:
            msg = f"{name!r} is offered by more than one plugin: {', '.join(entry.value for entry in entries)}"
            raise PluginError(msg)
        try:
            loaded: Any = entries[0].load()
        except (Exception, SystemExit) as error:  # a stranger's code may raise anything while it is imported
            msg = f"{name!r} fails to import: {type(error).__name__}"
            raise PluginError(msg) from error
        self._loaded[name] = self._checked(name, loaded)
        return self._loaded[name]

    def _checked(self, name: str, loaded: Any) -> type[T]:
        if not (isinstance(loaded, type) and issubclass(loaded, self._base)) or inspect.isabstract(loaded):
            msg = f"{name!r} is no complete {self._base.__name__}"
            raise PluginError(msg)
        written_for = getattr(loaded, "api_version", None)
        if written_for != self._api_version:
            msg = f"{name!r} was written for interface version {written_for}, this is {self._api_version}"
            raise PluginError(msg)
        own_name = getattr(loaded, "name", None) or getattr(loaded, "platform", None)
        if own_name != name:
            msg = f"{name!r} calls itself {own_name!r}: the entry point's name and the class's must be equal"
            raise PluginError(msg)
        return loaded


@cache
def _installed(group: str, _: tuple[str, ...]) -> EntryPoints:
    """Return a group's entry points on this path, read once: it takes the metadata of every distribution there is."""
    return entry_points(group=group)


def capabilities(kind: type[Connector[Any]]) -> list[str]:
    """Return what a connector can beside finding and creating, in words for a list."""
    told = {
        "invoices": issubclass(kind, InvoiceSync),
        "payment links": issubclass(kind, PaymentLinks),
        "payments": issubclass(kind, Payments),
        "verifies hints": kind.get_customer is not Connector.get_customer,
        "reactivates": kind.reactivate_customer is not Connector.reactivate_customer,
        "consent in the browser": issubclass(kind, OAuthConsent),
        "marks records": kind.marks_records,
        f"{kind.variants} names": kind.variants > 1,
        "upkeep": kind.maintain is not Connector.maintain,
    }
    return [words for words, holds in told.items() if holds]


def connector_plugins() -> Plugins[Connector[Any]]:
    """Return the connectors installed."""
    return Plugins(CONNECTORS, Connector, API_VERSION)  # type: ignore[type-abstract]  # the base to compare with


def source_plugins() -> Plugins[Source]:
    """Return the sources installed."""
    return Plugins(SOURCES, Source, SOURCE_API_VERSION)  # type: ignore[type-abstract]  # the base to compare with
