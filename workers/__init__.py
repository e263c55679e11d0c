"""Workers: Celery tasks that fetch the registers, normalise their answers and store them for the portal."""
