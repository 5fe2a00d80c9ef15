"""Floor 4: one province at work. Where `store` and `wire` meet."""
