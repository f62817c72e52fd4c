"""What the tables are: one file per table, and `check`, the one door through which values are validated."""
