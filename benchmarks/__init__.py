"""One question a file, with our answer and others' side by side; `python -m benchmarks --help` lists them."""
