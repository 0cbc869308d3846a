"""Who comes in: accounts, sessions, passwords, API keys, tokens, and the door that joins them."""
