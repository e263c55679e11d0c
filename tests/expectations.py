"""Walks through an expectation."""


def marks_of(expected, path=""):
    """Path → mark of every field."""
    found = {}
    for field in expected.fields:
        here = field.path_below(path)
        found[here] = field.mark
        found |= marks_of(field, here)
    return found
