"""What a source states about itself, and what is wrong with it."""
