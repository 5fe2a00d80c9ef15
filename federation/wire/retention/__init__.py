"""Reading again and erasing on the wire: services, clients, values and their conversion."""
