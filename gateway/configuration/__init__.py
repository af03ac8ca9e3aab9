"""Sources and connections as people write them, checked, encrypted and stored: one way for file, command and API."""
