"""A CodeQ server in memory, for tests and laptops, with a clock you control."""
