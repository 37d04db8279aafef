"""What the containers need beside the processes: their image, their health check, and the variables that Compose reads."""
