"""What privacy officers ask of the consent ledger and of the build that stands on it."""
