"""Read what people write, once: scenarios, files of jobs, bodies of requests, the configuration."""
