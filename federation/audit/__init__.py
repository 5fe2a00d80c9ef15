"""Floor 4: a stranger checking. It may open `wire`; never `store`, never `node`."""
