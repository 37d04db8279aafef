"""Outcomes in Postgres: the worker's side of the database contract (infra/postgres/migrations)."""
