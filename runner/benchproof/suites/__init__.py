"""WHAT is measured: the facts of each benchmark, and the adapter to lm-evaluation-harness."""
