"""Recordings of a CodeQ server: their data, their files, their times, and those of the real server."""
