"""What paid providers answer, in the house's words: the same for every service that calls one."""
