"""Pictures of hands with all that is known of them, and edits that keep those labels true; no judge."""
