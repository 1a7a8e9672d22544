"""What connects agents to the environments: SAC, policies, baselines, adapters; no run folders, no command line."""
