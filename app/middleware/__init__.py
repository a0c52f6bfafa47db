"""ASGI middleware: access log, API keys, rate limit, and the short way to `/segment`."""
