"""The process that reads untrusted media: of the service it imports `ports` and `causes` only."""
