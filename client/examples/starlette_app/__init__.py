"""An example: a REST API that creates CodeQ tasks and receives their results, and a worker that handles them."""
