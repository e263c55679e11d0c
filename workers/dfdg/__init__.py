"""DFDG itself: a citizen's calendar, booking deadlines, job titles and contact groups."""
