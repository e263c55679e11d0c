"""STARs Ydelsesregister: which benefits a citizen has received, and when."""
