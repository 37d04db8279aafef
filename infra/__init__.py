"""Everything that runs or operates the system: command line, local stack, migrations, containers."""
