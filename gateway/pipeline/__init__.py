"""The way of a delivery after the acknowledgement: dispatch, ensure, write back, and what decides about failures."""
