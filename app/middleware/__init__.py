"""ASGI middleware: access log, API keys and rate limit."""
