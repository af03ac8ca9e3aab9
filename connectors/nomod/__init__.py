"""Nomod: customers (which its pages call contacts) in a Nomod business, over the public API of api.nomod.com."""

from connectors.nomod.config import LookupMode, NomodConfig
from connectors.nomod.connector import NomodConnector

__all__ = ["LookupMode", "NomodConfig", "NomodConnector"]
