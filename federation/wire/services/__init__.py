"""Thin servicers: each converts, calls the function it was handed, converts back."""
