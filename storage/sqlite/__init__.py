"""The store in a SQLite file: one process, or several on one machine."""
