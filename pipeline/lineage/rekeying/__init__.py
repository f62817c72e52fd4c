"""A change of the pseudonym key: new pseudonyms for everybody whom raw files and ledgers name, or nothing at all."""
