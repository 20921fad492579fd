//! Tables: rows of cells in aligned columns, with lines of detail below a row.

use super::style::{Style, Tone};

/// Between two columns.
const GAP: &str = "   ";

/// One piece of text in a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub tone: Tone,
    pub text: String,
}

/// Rows in aligned columns. A column is as wide as its widest cell, whatever the terminal.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    cells: Vec<Cell>,
    below: Vec<Cell>,
}

impl Cell {
    pub fn new(text: impl Into<String>) -> Self {
        Self { tone: Tone::Neutral, text: text.into() }
    }

    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

impl Table {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row, and lines that stand below it, outside of the columns.
    pub fn row(&mut self, cells: Vec<Cell>, below: Vec<Cell>) {
        self.rows.push(Row { cells, below });
    }

    /// The same with other texts.
    pub fn map(&self, text: impl Fn(&str) -> String) -> Self {
        let cells = |cells: &[Cell]| {
            cells.iter().map(|cell| Cell { tone: cell.tone, text: text(&cell.text) }).collect()
        };
        let rows = self.rows.iter().map(|row| Row { cells: cells(&row.cells), below: cells(&row.below) });
        Self { rows: rows.collect() }
    }

    /// The table as lines, each ended by a line break; rows start with `indent`, lines below them with
    /// four spaces more.
    pub fn to_text(&self, style: Style, indent: &str) -> String {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
                cells.map(|cell| width(&cell.text)).max().unwrap_or_default()
            })
            .collect();
        let mut text = String::new();
        for Row { cells, below } in &self.rows {
            text.push_str(indent);
            let last = cells.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or_default();
            for (index, Cell { tone, text: words }) in cells.iter().enumerate().take(last + 1) {
                text.push_str(&style.paint(*tone, words));
                if index < last {
                    text.push_str(&" ".repeat(widths[index] - width(words)));
                    text.push_str(GAP);
                }
            }
            text.push('\n');
            for Cell { tone, text: words } in below {
                text.push_str(indent);
                text.push_str("    ");
                text.push_str(&style.paint(*tone, words));
                text.push('\n');
            }
        }
        text
    }
}

/// Addresses, actions and most names are narrow letters, so letters are counted.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_spaces() {
        let mut table = Table::new();
        table.row(vec![Cell::new("a"), Cell::new("bb"), Cell::new("c")], vec![Cell::new("below")]);
        table.row(vec![Cell::new("äää"), Cell::new("b"), Cell::default()], Vec::new());
        assert_eq!(table.to_text(Style::Plain, "  "), "  a     bb   c\n      below\n  äää   b\n");
    }

    #[test]
    fn colour_does_not_change_the_columns() {
        let mut table = Table::new();
        table.row(vec![Cell::toned(Tone::Added, "+ a"), Cell::new("b")], Vec::new());
        let text = table.to_text(Style::Coloured, "");
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), "+ a   b\n");
        assert!(text.contains('\u{1b}'));
    }
}
