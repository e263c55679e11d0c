"""Demo: a whole installation on this machine, and the reference portal beside it, as show and as example."""
