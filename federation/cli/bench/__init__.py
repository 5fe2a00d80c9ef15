"""The bench: its command, what it runs, what it compares with."""
