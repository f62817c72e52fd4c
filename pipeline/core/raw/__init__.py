"""Bytes of a raw file -> decoded records, whatever the file holds."""
