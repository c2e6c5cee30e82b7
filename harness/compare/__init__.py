"""What two results have in common, and whether they differ beyond noise."""
