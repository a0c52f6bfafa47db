"""The HTTP service: a door to `solo`, and to nothing else of the project."""
