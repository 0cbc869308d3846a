"""The whole platform on one machine without Docker: up, down, status, doctor."""
