"""The process that reads untrusted media: everything here runs in it, and nothing of the service is imported."""
