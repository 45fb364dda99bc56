"""The operators' first page: are we spending too much, why did it stop, what is to be done. Put together of all apps."""
