"""The laws of the client's worker on a real server, which is killed and stopped, as its workers are."""
