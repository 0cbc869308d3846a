"""Uploads in several requests, tus 1.0: bytes are gathered in the store of blobs until they are a job."""
