"""What this province does with residence permits: its own, and the copies it is entitled to."""
