"""API keys: what machines identify themselves with."""
