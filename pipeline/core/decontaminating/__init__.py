"""What decontaminate stands on: each prompt once, the benchmarks' texts, and the rules that compare the two."""
