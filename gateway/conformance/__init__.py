"""The conformance kit's other half: the gateway's real ensure as the kit's engine, and the harnesses installed."""

from gateway.conformance.engine import ENGINE, EnsureEngine
from gateway.conformance.harnesses import load_harness

__all__ = ["ENGINE", "EnsureEngine", "load_harness"]
