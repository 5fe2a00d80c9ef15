"""Corrections of the person's record: filed anywhere, decided by the owner, told to every holder."""
