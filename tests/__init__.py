"""Tests: unit, contract, integration, e2e, crash, browser, typing."""
