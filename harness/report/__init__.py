"""Show results: tables for the terminal, comparisons, pages."""
