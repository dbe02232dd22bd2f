"""The only place that uses the insides of other libraries, one module for each library.

Each name has a test in `tests/compat` that says in words what an upgrade of the library broke.
"""
