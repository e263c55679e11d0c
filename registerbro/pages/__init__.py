"""Pages: reads a citizen's page from the cache."""
