"""A fake as an ASGI application, served by uvicorn on a port, with its request log."""
