"""DFDG's service Kontaktforloeb: a citizen's meetings, and the deadlines by which they are to book one."""
