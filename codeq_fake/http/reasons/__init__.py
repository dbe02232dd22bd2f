"""Reasons in the journal: why a request is refused, or a claim found no task. They are never sent."""
