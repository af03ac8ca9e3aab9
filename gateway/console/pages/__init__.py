"""One file for each page or noun: what it reads, what it does, which template shows it."""
