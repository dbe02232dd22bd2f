"""The worker: claims tasks, runs handlers, renews leases and settles tasks."""
