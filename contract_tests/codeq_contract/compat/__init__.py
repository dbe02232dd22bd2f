"""The only place that uses private names of other libraries: one module and one test for each library.

The test says in words what broke when an upgrade of the library takes the private name away.
"""
