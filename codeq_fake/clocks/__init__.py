"""Clocks of a fake: real, manual, and the virtual time of an event loop; and how to wait until a fake is quiet."""
