"""What differs between installations: settings, the Celery configuration and logging."""
