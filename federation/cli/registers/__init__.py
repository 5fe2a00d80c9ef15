"""What the commands about vehicles and enterprises share: columns, words, imports, how a record is shown."""
