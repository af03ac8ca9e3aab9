"""Histories: whatever happens in whatever order, lived through in virtual time, and then judged by the invariants."""
