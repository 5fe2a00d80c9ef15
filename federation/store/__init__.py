"""Floor 3: rows to values and back. The only floor that knows SQL; it does not know `wire`."""
