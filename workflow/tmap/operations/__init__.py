"""What people ask of a workflow: check, plan, status, store-gc."""
