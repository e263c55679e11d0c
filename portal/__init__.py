"""What a portal uses."""
