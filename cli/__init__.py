"""The `registerbro` command."""
