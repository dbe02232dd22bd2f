"""The CodeQ contract as a test suite, and the replay of recordings of the real server."""
