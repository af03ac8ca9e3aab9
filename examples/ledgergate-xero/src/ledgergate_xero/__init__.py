"""Xero as a target of ledgergate: contacts are found there, or created once."""

from ledgergate_xero.config import XeroConfig
from ledgergate_xero.connector import XeroConnector

__all__ = ["XeroConfig", "XeroConnector"]
