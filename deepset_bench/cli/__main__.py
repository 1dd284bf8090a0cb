"""`python -m deepset_bench.cli` is `bench`."""

from deepset_bench.cli import main

main()
