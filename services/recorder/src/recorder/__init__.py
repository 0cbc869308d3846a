"""Events in, Postgres out, in batches; the only writer of pipeline facts."""
