//! Catalog (SQLite), postings (tantivy) and vectors behind one commit and one snapshot.
