"""Sandbox: untrusted bytes are decoded in processes of their own, with limits."""
