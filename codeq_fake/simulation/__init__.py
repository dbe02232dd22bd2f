"""A simulated world: the user's own processes, unmodified, on hosts and a network that fail by a seed."""
