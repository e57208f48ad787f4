"""What programs written for the original SDK find here."""
