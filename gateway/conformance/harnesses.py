"""From a connector's name to the harness under which the conformance kit runs it: entry points, as for connectors."""

from importlib.metadata import EntryPoint, entry_points

from connectors.testing.harness import Harness
from gateway.errors import PluginError
from gateway.plugins import connector_plugins

HARNESSES = "ledgergate.harnesses"
_BUILT_IN = {
    "nomod": "connectors.nomod.harness:NomodHarness",
    "quickbooks": "connectors.quickbooks.harness:QuickBooksHarness",
}


def load_harness(name: str) -> type[Harness]:
    """Return the harness of an installed connector. Raises PluginError with what is missing, or wrong."""
    kind = connector_plugins().load(name)
    entries = {entry.value: entry for entry in entry_points(group=HARNESSES, name=name)}
    if name in _BUILT_IN:
        entries[_BUILT_IN[name]] = EntryPoint(name, _BUILT_IN[name], HARNESSES)
    if not entries:
        msg = f'{name!r} has no harness: give its package the entry point [project.entry-points."{HARNESSES}"]'
        raise PluginError(msg)
    if len(entries) > 1:
        msg = f"{name!r} has more than one harness: {', '.join(sorted(entries))}"
        raise PluginError(msg)
    entry = next(iter(entries.values()))
    try:
        harness = entry.load()
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything while it is imported
        msg = f"the harness of {name!r} fails to import: {type(error).__name__}: {error}"
        raise PluginError(msg) from error
    if not (isinstance(harness, type) and issubclass(harness, Harness)):
        msg = f"the harness of {name!r} ({entry.value}) is no Harness"
        raise PluginError(msg)
    if harness.connector is not kind:
        msg = f"the harness of {name!r} is for {harness.connector.__qualname__}, not for {kind.__qualname__}"
        raise PluginError(msg)
    return harness
