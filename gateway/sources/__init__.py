"""Billing platforms: how their webhooks are verified, read and written back to."""
