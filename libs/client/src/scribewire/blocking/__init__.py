"""The blocking client's verbs, by room."""
