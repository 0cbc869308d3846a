"""The asynchronous client's verbs, by room."""
