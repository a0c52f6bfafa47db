"""Image decoding: from untrusted bytes to a radiograph that is ready for display."""
