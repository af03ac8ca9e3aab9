"""The API under /api/v1: one file a noun, each route declared once together with its description."""
