"""Files that rules write: their names, schemas, tables and provenance."""
