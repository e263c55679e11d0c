"""DFDG's service JobSearch: the job titles that a citizen looks for, and looked for."""
