"""The registers that this province keeps beside permits: vehicles and enterprises. They answer, and never replicate."""
