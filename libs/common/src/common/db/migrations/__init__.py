"""Alembic's folder: each version is plain SQL."""
