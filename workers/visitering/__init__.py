"""DFDG's service VisiteringOgStatus: a citizen's contact groups and absence."""
