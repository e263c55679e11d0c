"""Ledger server: durable records, each on disk before it is acknowledged."""
