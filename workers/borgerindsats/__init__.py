"""DFDG's service Borgerindsats: a citizen's activities, and their joblog."""
