"""External APIs, behind consumers.ports.Provider."""
