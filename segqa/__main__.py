"""`python -m segqa` is the command `segqa`."""

from segqa.cli import app

app(prog_name="segqa")
