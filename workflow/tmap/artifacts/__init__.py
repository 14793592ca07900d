"""Files that rules write: names, schemas, tables, what made them."""
