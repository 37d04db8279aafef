"""Plays the outside world: an external API that is slow and fails. Imports nothing of ours; nobody imports it."""
