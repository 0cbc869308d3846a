"""The contract and the plumbing every Scribewire service stands on."""
