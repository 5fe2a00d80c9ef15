"""The watch over look-ups: flags, and what a leader answers for."""
