"""Recordings of a CodeQ server: their data, their files, and their times."""
