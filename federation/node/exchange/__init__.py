"""How messages travel between provinces: received, judged, sent, delivered, answered, awaited. Beneath all features."""
