"""The transparency log, one module for each public page it implements."""
