"""What the HTTP API is made of: who may ask, what is asked, what is answered."""
