"""Tools for building and checking: supply chain, containers, generated files. They are never shipped."""
