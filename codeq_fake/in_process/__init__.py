"""A fake in the process of its test: `FakeCodeQ`, its clients, and its assertions. The door is `codeq_fake.testing`."""
