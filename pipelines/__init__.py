"""Programs that use the services: the training program and the experiment around it."""
