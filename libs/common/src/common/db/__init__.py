"""The projections in PostgreSQL: tables, migrations, connections, and the one insert that opens a job."""
