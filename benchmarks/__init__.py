"""Speed, run by hand: `python -m benchmarks`. Nothing here is a test."""
