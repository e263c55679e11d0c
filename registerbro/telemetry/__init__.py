"""Telemetry: metrics, trace context, OpenTelemetry spans, random ids."""
