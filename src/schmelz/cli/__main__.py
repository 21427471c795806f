"""`python -m schmelz.cli` is the command `schmelz`."""

from schmelz.cli.main import main

if __name__ == "__main__":
    main()
