"""eIndkomst: where a citizen has worked and when, from what employers have reported to Skatteforvaltningen."""
