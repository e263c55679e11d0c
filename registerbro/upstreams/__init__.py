"""Upstreams: the call pipeline with its error tree, HTTP client, retries, certificates and quarantine."""
