"""What is kept, what is erased, and how a reading is marked: the values and rules of retention. Pure."""
