"""The operator's web page: server-rendered over the same use-cases as the API; no build step, no inline code."""
