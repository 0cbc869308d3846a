"""The commands that talk to a gateway, one file each."""
