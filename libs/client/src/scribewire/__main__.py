"""`python -m scribewire`: the command line where no `scribewire` is on the path."""

from scribewire.cli import main

if __name__ == "__main__":
    main()
