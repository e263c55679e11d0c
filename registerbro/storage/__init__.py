"""What is kept of a citizen, sealed, and who may fetch it now. `docs/cache-contract.md` describes keys and values."""
