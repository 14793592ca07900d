"""Commands about a workflow, for people: check, plan, status, store-gc."""
