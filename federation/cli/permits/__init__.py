"""What the permit commands read and show: rows of older registers, applications, permits, rulings."""
