"""Batches: manifests of many items, kept in PostgreSQL as they stream in and released into the log little by little."""
