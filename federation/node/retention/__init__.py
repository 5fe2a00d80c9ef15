"""What ends: reading again under a watermark, expiry, orders to erase and their receipts, the floor under records."""
