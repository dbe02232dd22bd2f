"""A soak: hostile and sound clients side by side on one server. Run `python -m tests.soak --minutes 10`."""
