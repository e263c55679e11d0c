"""Ungedatabasen (UDB): which educations a young citizen has completed, started and interrupted, with FGU and STU."""
