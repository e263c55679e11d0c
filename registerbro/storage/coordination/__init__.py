"""Coordination server: leases, timetable, liveness of queues, partial answers."""
