"""Joint cases at one node: how they are kept, written, taken in, handed on, and shown to the offices that take part."""
