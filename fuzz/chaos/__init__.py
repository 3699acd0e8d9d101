"""The whole system on several processes and servers, each of which is killed while videos come in."""
