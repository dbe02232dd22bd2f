"""How a request is answered while fault rules are active."""
