"""The nouns of makeway: frozen values, arithmetic and invariants, nothing that acts."""
