"""The contract with the database: numbered migrations, and what applies them."""
