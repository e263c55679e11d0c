"""Worker process: pool, tasks, beat and remote control."""
