"""Billing platforms to play with: simulated Flexprice, Tirdad and Tithely, and the sender of their webhooks."""
