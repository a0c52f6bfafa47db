"""Dynamic batching: queue, batch window, admission control, failover, hot reload."""
