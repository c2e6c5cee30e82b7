"""Pages: one shell, the parts that they share, and a module for each page."""
