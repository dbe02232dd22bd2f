"""A fake in the process of its test: `FakeCodeQ`, its clients, its assertions. Import it from `codeq_fake.testing`."""
