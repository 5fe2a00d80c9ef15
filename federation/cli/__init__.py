"""Floor 5: the commands. They print and ask; they hold no rules of their own."""
