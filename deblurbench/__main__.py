"""`python -m deblurbench`."""

from deblurbench.cli import main

main()
