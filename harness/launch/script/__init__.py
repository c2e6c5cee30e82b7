"""The text of a job's script; the shell files in `shell/` go into it as they stand."""
