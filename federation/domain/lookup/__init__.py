"""Look-ups: asking another province about one person, for one open case; first hit or no hit, then named fields."""
