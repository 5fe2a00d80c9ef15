"""Look-ups on the wire: services, clients, values and their conversion."""
