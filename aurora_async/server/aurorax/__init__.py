"""AuroraX as a local service: routes, jobs and answers of `/api/v1/…`."""
