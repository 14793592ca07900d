"""What indicators measure with, and the columns that they fill."""
