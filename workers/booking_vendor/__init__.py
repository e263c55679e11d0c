"""Citizens' fault reports to the supplier of the meeting-booking system: exactly once in effect, and never lost."""
