"""Durable state: the records, the Store protocol, and its backends."""
