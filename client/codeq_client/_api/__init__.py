"""Calls of the CodeQ API: what is sent, how the answer is read, when a call is repeated, and both clients."""
