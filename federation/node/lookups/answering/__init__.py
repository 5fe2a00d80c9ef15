"""Answering the other provinces: the answering side of a look-up."""
