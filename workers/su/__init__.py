"""SU data: which educations a citizen has begun with SU."""
