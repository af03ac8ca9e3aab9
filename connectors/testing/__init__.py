"""What connector authors test with: the conformance kit, and simulators that misbehave on purpose.

The suite for pytest is `connectors.testing.contract.ConnectorContract`; it needs the extra `ledgergate[testing]`. What
is here needs no test tools, so that `ledgergate connector check` runs where the gateway runs.
"""

from connectors.testing.bench import MemoryTokens
from connectors.testing.clock import Clock
from connectors.testing.harness import Asked, Harness, Record, Service, State
from connectors.testing.simulator import Call, Fault, FaultKind, FaultPlan, Moment, Simulator

__all__ = [
    "Asked",
    "Call",
    "Clock",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Harness",
    "MemoryTokens",
    "Moment",
    "Record",
    "Service",
    "Simulator",
    "State",
]
