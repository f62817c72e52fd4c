"""What `pairtrail check` looks at: sources, what git and DVC hold, and what releases promised."""
