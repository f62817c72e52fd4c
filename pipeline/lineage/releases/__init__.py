"""Releases: published, versioned, signed datasets; cut, verified, approved, shown and withdrawn."""
