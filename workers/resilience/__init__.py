"""How an upstream is called: the error tree, the one HTTP client, retries, and what spares a struggling register."""
