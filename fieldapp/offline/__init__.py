"""What lets the phone answer without signal: templates as JavaScript, and the one worker file."""
