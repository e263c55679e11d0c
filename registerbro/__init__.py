"""What the product does, callable from any process: worker, portal or command."""
