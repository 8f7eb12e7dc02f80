"""Other people's tests of operators, as calls with the answers that they expect."""
