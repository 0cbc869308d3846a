"""What the law gives people: everything there is about them in one file, and an end to it."""
