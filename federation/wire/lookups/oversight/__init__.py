"""The watch over look-ups on the wire: service, client, values and their conversion."""
