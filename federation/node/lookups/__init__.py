"""Asking across the border: cases, look-ups asked, look-ups answered."""
