"""The instruments of indicators, and the columns that indicators fill."""
