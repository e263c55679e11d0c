"""Meetings: the times that DFDG's Kontaktforloeb offers a citizen, and the booking of one of them."""
