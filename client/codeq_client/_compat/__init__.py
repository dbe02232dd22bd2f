"""The only place for details of other libraries. Each module has a canary test in `tests/client/compat`."""
