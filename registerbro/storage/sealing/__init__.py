"""Sealing: encryption of what is kept of citizens, its keys and their rotation."""
