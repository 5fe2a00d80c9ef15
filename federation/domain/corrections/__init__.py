"""Corrections of a person's record: which field, by whose word, until when, and what comes of it."""
