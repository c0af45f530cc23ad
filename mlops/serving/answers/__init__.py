"""From the bytes of a request to an answer: what may be asked, and which version answers."""
