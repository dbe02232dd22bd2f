"""Replays recordings on a fake or any other server, and compares every reply and callback with the recorded one."""
