"""The rules and the paper: functions of their arguments, without Flask, clocks or settings."""
