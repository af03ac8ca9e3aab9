"""Measures the gateway beside the limits of the machine it runs on: `python -m bench`, with public tools only."""
