"""Alerts between duty desks at a node: what its own agencies ask about them."""
