//! A table being read, and its way out as Markdown rows or, when it is page layout, as text.

use crate::document::Writer;

/// A cell longer than this many bytes is text that a table was used to place.
const LONG_CELL: usize = 2000;

/// One open `<table>`.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    /// Whether text goes to the last cell of the last row.
    pub(crate) in_cell: bool,
    /// It was found to be page layout: what it holds is read as if the table were not there.
    pub(crate) is_layout: bool,
}

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    is_header: bool,
    /// The file says that it is a header, whatever its cells say.
    is_marked: bool,
}

impl Table {
    pub(crate) fn begin_row(&mut self) {
        self.in_cell = false;
        if self.rows.last().is_none_or(|r| !r.cells.is_empty()) {
            self.rows.push(Row { cells: Vec::new(), is_header: true, is_marked: false });
        }
    }

    pub(crate) fn begin_cell(&mut self, is_header: bool) {
        if self.rows.is_empty() {
            self.begin_row();
        }
        if let Some(row) = self.rows.last_mut() {
            row.cells.push(String::new());
            row.is_header &= is_header || row.is_marked;
            self.in_cell = true;
        }
    }

    /// Makes the row being read a header, cells of which are still to come or not.
    pub(crate) fn mark_header(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.is_header = true;
            row.is_marked = true;
        }
    }

    /// Adds text to the open cell; `\n` parts its paragraphs. Returns false when the cell has become too long.
    pub(crate) fn add(&mut self, text: &str) -> bool {
        let Some(cell) = self.rows.last_mut().and_then(|r| r.cells.last_mut()) else { return true };
        if !cell.is_empty() {
            cell.push('\n');
        }
        cell.push_str(text);
        cell.len() <= LONG_CELL
    }

    /// All cells so far, in order, as paragraphs; leaves the table empty.
    pub(crate) fn take_paragraphs(&mut self) -> Vec<String> {
        let cells = std::mem::take(&mut self.rows).into_iter().flat_map(|row| row.cells);
        cells
            .flat_map(|cell| cell.split('\n').map(str::to_owned).collect::<Vec<_>>())
            .filter(|p| !p.trim().is_empty())
            .collect()
    }

    /// One row or one column is no table: its cells are paragraphs.
    pub(crate) fn is_list(&self) -> bool {
        let filled = || self.rows.iter().filter(|r| !r.cells.is_empty());
        (filled().count() == 1 && filled().all(|r| r.cells.iter().any(|c| c.contains('\n'))))
            || filled().all(|r| r.cells.len() == 1)
    }

    /// The rows as Markdown. Only rows of header cells at the top get a rule below.
    pub(crate) fn markdown(&self) -> String {
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

/// Rows of a spreadsheet that go into one block. Each block repeats the header row, so that it can be read alone.
const ROWS_PER_BLOCK: usize = 40;

/// One row of a sheet that is being read.
pub(crate) struct SheetRow {
    /// From 1.
    pub(crate) number: u32,
    pub(crate) cells: Vec<String>,
}

/// Cells kept of one sheet, blank ones between others among them.
const MAX_CELLS: usize = 2_000_000;

/// A header longer than this is written once and not in each block: it would be most of them, and a few cells could fill the memory.
const MAX_REPEATED_HEADER: usize = 4000;

/// What the cells of a workbook may still take, for the same few kilobytes of a file may be many cells: cells name a shared string by
/// number, or say how often they stand there.
pub(crate) struct CellBudget {
    n_cells: usize,
    n_bytes: u64,
    is_spent: bool,
}

impl CellBudget {
    /// For a workbook of which `max_bytes` of text are read.
    pub(crate) fn of(max_bytes: u64) -> Self {
        Self { n_cells: MAX_CELLS, n_bytes: max_bytes, is_spent: false }
    }

    /// Each sheet has its own number of cells; they share the text.
    pub(crate) fn begin_sheet(&mut self) {
        self.n_cells = MAX_CELLS;
    }

    /// Whether `n_cells` more with `n_bytes` of text in them may be kept.
    pub(crate) fn take(&mut self, n_cells: usize, n_bytes: u64) -> bool {
        match (self.n_cells.checked_sub(n_cells), self.n_bytes.checked_sub(n_bytes)) {
            (Some(cells), Some(bytes)) => (self.n_cells, self.n_bytes) = (cells, bytes),
            _ => {
                self.is_spent = true;
                return false;
            }
        }
        true
    }

    /// What the user is told when cells were left out.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let told = || "it holds too many cells or too much text in them: some were left out".to_owned();
        self.is_spent.then(told).into_iter().collect()
    }
}

/// Columns of a sheet (ECMA-376 part 1, 18.3.1.4 gives 16,384); blank ones before a cell are kept up to here.
pub(crate) const MAX_COLUMNS: usize = 512;

/// Writes a sheet as tables of Markdown rows. Blank rows are dropped, blank cells at the end of rows too.
/// The first row is the header if all of its cells are words.
pub(crate) fn write_sheet(rows: &[SheetRow], writer: &mut Writer) {
    let mut rows = rows.iter().filter_map(|row| {
        let is_filled = |cell: &String| !cell.trim().is_empty();
        let columns = row.cells.iter().position(is_filled)?..row.cells.iter().rposition(is_filled)? + 1;
        let place = (row.number, columns.start as u32..columns.end as u32);
        Some((&row.cells[..columns.end], place))
    });
    let Some((first, place)) = rows.next() else { return };
    let is_header = first.len() > 1 && first.iter().all(|cell| cell.contains(char::is_alphabetic));
    let shown = |cells: &[String]| markdown_row(cells.iter().map(String::as_str));
    let mut head = Vec::new();
    let mut body = Vec::new();
    if is_header {
        head = vec![(shown(first), Some(place)), (markdown_row(first.iter().map(|_| "---")), None)];
    } else {
        body.push((shown(first), Some(place)));
    }
    body.extend(rows.map(|(cells, place)| (shown(cells), Some(place))));
    if body.is_empty() {
        writer.push_rows(&head);
    }
    for group in body.chunks(ROWS_PER_BLOCK) {
        writer.push_rows(&[&head, group].concat());
        if head.first().is_some_and(|(row, _)| row.len() > MAX_REPEATED_HEADER) {
            head.clear();
        }
        // It stands where it was written first.
        head.iter_mut().for_each(|(_, place)| *place = None);
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
