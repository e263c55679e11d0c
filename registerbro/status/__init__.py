"""Status of the fleet, as `status`, the API and Prometheus show it."""
