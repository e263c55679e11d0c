"""What operations use: the `registerbro` command and what it starts."""
