"""Who people are: accounts, passwords, sessions, and what proves each."""
