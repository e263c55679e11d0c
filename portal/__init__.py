"""Portal: the server process with the HTTP API."""
