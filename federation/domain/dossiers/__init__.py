"""What a look-up may find beside permits: vehicles and enterprises, and what names a record of any kind."""
