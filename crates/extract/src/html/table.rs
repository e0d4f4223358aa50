//! A table being read, and its way out as Markdown rows or, when it is page layout, as text.

/// A cell longer than this many bytes is text that a table was used to place.
const LONG_CELL: usize = 2000;

/// One open `<table>`.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    /// Whether text goes to the last cell of the last row.
    pub(super) in_cell: bool,
    /// It was found to be page layout: what it holds is read as if the table were not there.
    pub(super) is_layout: bool,
}

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    is_header: bool,
}

impl Table {
    pub(super) fn begin_row(&mut self) {
        self.in_cell = false;
        if self.rows.last().is_none_or(|r| !r.cells.is_empty()) {
            self.rows.push(Row { cells: Vec::new(), is_header: true });
        }
    }

    pub(super) fn begin_cell(&mut self, is_header: bool) {
        if self.rows.is_empty() {
            self.begin_row();
        }
        if let Some(row) = self.rows.last_mut() {
            row.cells.push(String::new());
            row.is_header &= is_header;
            self.in_cell = true;
        }
    }

    /// Adds text to the open cell; `\n` parts its paragraphs. Returns false when the cell has become too long.
    pub(super) fn add(&mut self, text: &str) -> bool {
        let Some(cell) = self.rows.last_mut().and_then(|r| r.cells.last_mut()) else { return true };
        if !cell.is_empty() {
            cell.push('\n');
        }
        cell.push_str(text);
        cell.len() <= LONG_CELL
    }

    /// All cells so far, in order, as paragraphs; leaves the table empty.
    pub(super) fn take_paragraphs(&mut self) -> Vec<String> {
        let cells = std::mem::take(&mut self.rows).into_iter().flat_map(|row| row.cells);
        cells
            .flat_map(|cell| cell.split('\n').map(str::to_owned).collect::<Vec<_>>())
            .filter(|p| !p.trim().is_empty())
            .collect()
    }

    /// One row or one column is no table: its cells are paragraphs.
    pub(super) fn is_list(&self) -> bool {
        let filled = || self.rows.iter().filter(|r| !r.cells.is_empty());
        (filled().count() == 1 && filled().all(|r| r.cells.iter().any(|c| c.contains('\n'))))
            || filled().all(|r| r.cells.len() == 1)
    }

    /// The rows as Markdown. Only rows of header cells at the top get a rule below.
    pub(super) fn markdown(&self) -> String {
        let mut out = String::new();
        for (i, row) in self.rows.iter().filter(|r| r.cells.iter().any(|c| !c.is_empty())).enumerate() {
            out.push_str(&markdown_row(row.cells.iter().map(String::as_str)));
            if i == 0 && row.is_header {
                out.push_str(&markdown_row(row.cells.iter().map(|_| "---")));
            }
        }
        out
    }
}

/// `| a | b |` and a line break; `|` in a cell is escaped, line breaks become spaces.
pub(crate) fn markdown_row<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from("|");
    for cell in cells {
        out.push(' ');
        for (i, word) in cell.split_whitespace().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            out.push_str(&word.replace('|', "\\|"));
        }
        out.push_str(" |");
    }
    out.push('\n');
    out
}
