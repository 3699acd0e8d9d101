"""Authentication and permissions: sign-in, sessions, cookies, confirmation."""
