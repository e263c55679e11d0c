"""The worker pool: fetches the registers, normalises them and keeps the result for the portal."""
