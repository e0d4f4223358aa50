//! Test collections in BEIR's layout: `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`),
//! `qrels.tsv` (query, document, score; one header line).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use crate::error::{Result, RetrieveError};
use crate::metrics::Judgements;

/// A document of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Document {
    /// Its name in the judgements.
    #[serde(rename = "_id")]
    pub id: String,
    /// May be empty.
    #[serde(default)]
    pub title: String,
    /// The text.
    pub text: String,
}

impl Document {
    /// Title and text, a line apart.
    pub fn full_text(&self) -> String {
        if self.title.is_empty() { self.text.clone() } else { format!("{}\n{}", self.title, self.text) }
    }
}

/// A question of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Query {
    /// Its name in the judgements.
    #[serde(rename = "_id")]
    pub id: String,
    /// The question.
    pub text: String,
}

/// A whole collection. Only judged queries are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// All documents.
    pub documents: Vec<Document>,
    /// The judged queries.
    pub queries: Vec<Query>,
    /// Query to judged documents.
    pub judgements: BTreeMap<String, Judgements>,
}

impl Collection {
    /// Reads the collection in the folder `dir`.
    ///
    /// # Errors
    /// `Collection` names the file and line that is missing or malformed.
    pub fn read(dir: &Path) -> Result<Collection> {
        let documents = read_lines(&dir.join("corpus.jsonl"))?;
        let queries: Vec<Query> = read_lines(&dir.join("queries.jsonl"))?;
        let judgements = read_judgements(&dir.join("qrels.tsv"))?;
        let queries: Vec<Query> =
            queries.into_iter().filter(|query| judgements.contains_key(&query.id)).collect();
        if queries.is_empty() {
            let what = "no query of queries.jsonl is judged here".to_owned();
            return Err(RetrieveError::Collection { path: dir.join("qrels.tsv"), what });
        }
        Ok(Collection { documents, queries, judgements })
    }
}

fn lines(path: &Path) -> Result<impl Iterator<Item = Result<(usize, String)>>> {
    let failed = |path: &Path, e: std::io::Error| RetrieveError::Collection {
        path: path.to_owned(),
        what: e.to_string(),
    };
    let file = File::open(path).map_err(|e| failed(path, e))?;
    let path = path.to_owned();
    Ok(BufReader::new(file)
        .lines()
        .enumerate()
        .map(move |(i, line)| line.map(|line| (i + 1, line)).map_err(|e| failed(&path, e)))
        .filter(|line| !line.as_ref().is_ok_and(|(_, line)| line.trim().is_empty())))
}

fn read_lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    lines(path)?
        .map(|line| {
            let (number, line) = line?;
            serde_json::from_str(&line).map_err(|e| RetrieveError::Collection {
                path: path.to_owned(),
                what: format!("line {number}: {e}"),
            })
        })
        .collect()
}

fn read_judgements(path: &Path) -> Result<BTreeMap<String, Judgements>> {
    let mut judgements: BTreeMap<String, Judgements> = BTreeMap::new();
    for line in lines(path)?.skip(1) {
        let (number, line) = line?;
        let mut columns = line.split('\t');
        let entry =
            match (columns.next(), columns.next(), columns.next().map(|gain| gain.trim().parse::<f64>())) {
                (Some(query), Some(document), Some(Ok(gain))) => (query, document, gain),
                _ => {
                    let what = format!("line {number}: not query, document and score, parted by tabs");
                    return Err(RetrieveError::Collection { path: path.to_owned(), what });
                }
            };
        judgements.entry(entry.0.to_owned()).or_default().insert(entry.1.to_owned(), entry.2);
    }
    Ok(judgements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, qrels: &str) {
        std::fs::write(
            dir.join("corpus.jsonl"),
            "{\"_id\":\"a\",\"title\":\"T\",\"text\":\"x\"}\n{\"_id\":\"b\",\"text\":\"y\"}\n",
        )
        .unwrap();
        std::fs::write(
            dir.join("queries.jsonl"),
            "{\"_id\":\"1\",\"text\":\"q\"}\n{\"_id\":\"2\",\"text\":\"r\"}\n",
        )
        .unwrap();
        std::fs::write(dir.join("qrels.tsv"), qrels).unwrap();
    }

    #[test]
    fn a_collection_is_read_with_its_judged_queries_only() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "query-id\tcorpus-id\tscore\n1\ta\t1\n");
        let collection = Collection::read(dir.path()).unwrap();
        assert_eq!(collection.documents[0].full_text(), "T\nx");
        assert_eq!(collection.documents[1].full_text(), "y");
        assert_eq!(collection.queries.len(), 1);
        assert_eq!(collection.judgements["1"]["a"], 1.0);
    }

    #[test]
    fn judgements_of_other_queries_are_told() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "query-id\tcorpus-id\tscore\n77\ta\t1\n");
        let message = Collection::read(dir.path()).unwrap_err().to_string();
        assert!(message.contains("no query") && message.contains("qrels.tsv"), "{message}");
    }

    #[test]
    fn a_malformed_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "query-id\tcorpus-id\tscore\n1 a 1\n");
        let message = Collection::read(dir.path()).unwrap_err().to_string();
        assert!(message.contains("qrels.tsv") && message.contains("line 2"), "{message}");
    }
}
