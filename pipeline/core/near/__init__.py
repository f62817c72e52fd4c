"""Near neighbours: texts to words to shingles, candidates by MinHash or by a shared rare shingle, all verified."""
