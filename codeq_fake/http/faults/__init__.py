"""Injects faults into requests while there are fault rules."""
