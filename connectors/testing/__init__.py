"""What connector authors test with: the conformance suite, and simulators that misbehave on purpose."""
