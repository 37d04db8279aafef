"""Setting one record aside by its coordinates: `tokenflow dlq set-aside`."""
