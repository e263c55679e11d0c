"""What is measured and not merely tested; each file says how it is run."""
