"""The node's home: what one province keeps on its own disk, keys, certificates and the agreement in force."""
