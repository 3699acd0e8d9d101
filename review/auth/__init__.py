"""Who asks, and whether they may: sign-in, sessions, cookies, confirmation."""
