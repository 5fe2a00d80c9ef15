"""The log inside the store: its tree in memory, reading it, and the transaction that writes it."""
