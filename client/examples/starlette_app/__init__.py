"""An example: a REST API that creates tasks for CodeQ and hears of their results, and a worker that does them."""
