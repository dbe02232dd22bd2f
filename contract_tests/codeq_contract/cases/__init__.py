"""The cases: each checks what its name says, on whatever server `contract` leads to."""
