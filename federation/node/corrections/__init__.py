"""Corrections of a person's record: filed at any node, decided by the owner, told to every holder."""
