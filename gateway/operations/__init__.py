"""What people do with a gateway: one room of use-cases behind the API, the command line and the console; no HTTP."""
