"""Random queries compared with PostgreSQL."""
