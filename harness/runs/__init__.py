"""Every kind of run: its record, the store of records, submission, reconciliation, watching, triage, campaigns."""
