"""Which connectors get their credentials by a person's consent in the browser."""

from connectors.oauth import OAuthConsent
from gateway.errors import PluginError
from gateway.plugins import connector_plugins


def takes_consent(connector: str) -> bool:
    """Return whether a connector has a consent; one that cannot be loaded has none."""
    try:
        return issubclass(connector_plugins().load(connector), OAuthConsent)
    except PluginError:
        return False
