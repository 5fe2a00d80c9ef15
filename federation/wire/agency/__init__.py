"""What a node's own agencies ask it and are answered: the values of each subject, and its RPCs."""
