"""HTTP in front of the log: uploads in, status and transcripts out."""
