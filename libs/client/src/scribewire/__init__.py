"""Python client and command line of Scribewire."""
