"""How the server speaks HTTP: routes, keys, limits on callers, and its documentation."""
