"""The person's view: what was given about them, and who answers for it."""
