"""Corrections of a person's record on the wire."""
