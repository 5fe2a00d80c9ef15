"""The registers of vehicles and enterprises on the wire: service, client, values and their conversion."""
