"""The rules of the page: pure, without I/O and without a clock."""
