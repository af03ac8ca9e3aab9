"""Durable state in PostgreSQL, for several nodes: the same promises, kept across them. Needs the extra `postgres`."""
