"""Bridgehead (桥头堡): the data-sharing federation of neighbouring provinces."""
