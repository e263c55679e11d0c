"""Cache server: citizens' ids, entries and what the page reads."""
