"""Triage: find why a run failed, and what to change."""
