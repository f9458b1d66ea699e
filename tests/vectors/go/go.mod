module theory/vectors

go 1.21
