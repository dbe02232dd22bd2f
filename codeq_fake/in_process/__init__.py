"""The ways to a fake in this process: from other threads and event loops, and by httpx clients."""
