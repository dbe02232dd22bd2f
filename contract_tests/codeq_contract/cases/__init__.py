"""The cases: each checks what its name says, on the server behind `contract`. Sections are those of the contract."""
