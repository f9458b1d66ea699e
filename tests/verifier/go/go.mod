module theory/verifier

go 1.21
