"""What the ``llem`` commands do, one module each."""
