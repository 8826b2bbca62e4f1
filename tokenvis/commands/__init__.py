"""The commands of the command line; ``tokenvis/__main__.py`` parses the arguments and runs one of them."""
