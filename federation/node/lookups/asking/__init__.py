"""Asking the other provinces: the asking side of a look-up."""
