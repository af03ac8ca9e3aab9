"""Alerts: what needs a person, seen from the store, told once by webhook and e-mail, and once more when it is over."""
