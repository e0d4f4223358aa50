//! Hits and a token budget to a prompt with provenance: a pure function.
