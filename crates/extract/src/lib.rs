//! Bytes to a structured document; each third-party parser behind its own wall.
