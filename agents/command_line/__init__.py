"""What all commands share: flags and their checks, the parser, the console. No command is here."""
