"""The house rules that can be checked: `python -m infra.lint [PATHS]`.

Each rule is a function whose docstring says why it exists. A line that has a reason to break one says so, on the line or on
the comment line above it: `# lint: allow <rule> because <reason>`. An escape without a reason, or of nothing, is a finding.
"""
