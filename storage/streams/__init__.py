"""Live streams in SQL: who watches which, what they told, what is shown."""
