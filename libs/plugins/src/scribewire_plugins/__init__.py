"""The plug-ins that come with Scribewire; each is found by its entry point, as anybody else's is."""
