"""Fault reports: accepts citizens' reports and delivers each to the vendor of the booking system."""
