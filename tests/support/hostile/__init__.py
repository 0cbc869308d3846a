"""Media that attacks: files made to read what they must not, or to cost more than they may, and what watches them."""
