//! The catalogue of models: what each is, where it comes from, and pulling it.
