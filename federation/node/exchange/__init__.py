"""How messages travel between provinces: received, judged, sent, delivered, answered. Beneath all features."""
