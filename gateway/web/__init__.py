"""HTTP: the door for webhooks, the API, health, and what they share."""
