"""Define workflows and carry one run of a workflow forward; pure."""
