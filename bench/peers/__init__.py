"""What a user would pick instead, each asked for the same: verify, keep safely, answer, work it off.

`make bench-peers` installs them apart from the gateway, into `.venv-peers` and `.node-peers`; what is there is
measured, and nothing else needs it.
"""
