"""From scores to statements: statistics, ranks, comparisons."""
