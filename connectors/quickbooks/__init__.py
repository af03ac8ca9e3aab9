"""QuickBooks Online: customers made once, under names that nobody else has."""

from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.connector import QuickBooksConnector

__all__ = ["QuickBooksConfig", "QuickBooksConnector"]
