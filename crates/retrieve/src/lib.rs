//! Lexical and vector hits fused into one ranking.
