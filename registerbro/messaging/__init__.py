"""Messaging: publishes tasks and inspects queues."""
