"""HTTP itself: bodies in, problems out, connections, headers, content negotiation."""
