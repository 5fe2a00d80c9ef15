"""The demo: its command, its four provinces, its scenes."""
