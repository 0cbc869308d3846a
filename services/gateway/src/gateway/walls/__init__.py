"""The walls: what an owner may use, what came of it, who may ask from where, and what is kept for how long."""
