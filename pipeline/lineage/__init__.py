"""Questions asked of what the stages wrote."""
