"""Feature extractors of the first-party benchmarks, with the recipes that made their weights."""
