"""Keep the server safe: who may reach it, what they may send, and how much of it."""
