"""Run the gateway from a checkout: the same program as the installed command `ledgergate`."""

from gateway.cli import main

raise SystemExit(main())
