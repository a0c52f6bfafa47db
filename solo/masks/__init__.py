"""Instance masks: run-length encoding at native size, polygons, suppression."""
