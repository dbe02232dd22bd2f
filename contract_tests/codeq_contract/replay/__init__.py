"""Replays recordings on a fake and compares every reply and callback with the recorded one."""
