//! Lines that are too wide for where they are shown, broken between words.

/// What stands between two cells of a table is at least this wide.
const BETWEEN_CELLS: usize = 3;

/// How much further the rest of a line is indented.
const INDENT: usize = 4;

/// The same text in lines no wider than that, but for single words that are.
///
/// A line is broken between two cells where the next one fits on a line of its own, and else between words. A word is
/// never broken: an address or an id is copied whole.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match columns(line.trim_end()) > width {
            true => wrap_line(line.trim_end(), width, &mut wrapped),
            false => wrapped.push_str(line.strip_suffix('\n').unwrap_or(line)),
        }
        if line.ends_with('\n') {
            wrapped.push('\n');
        }
    }
    wrapped
}

/// A word, and how many spaces stand before it.
#[derive(Clone, Copy)]
struct Word<'a> {
    gap: usize,
    text: &'a str,
    columns: usize,
}

fn wrap_line(line: &str, width: usize, wrapped: &mut String) {
    let words = words(line);
    let indent = words.first().map_or(0, |word| word.gap);
    // Half of a line at least is for words.
    let hanging = (indent + INDENT).min(width / 2);
    let mut at = 0;
    for cell in words.chunk_by(|_, next| next.gap < BETWEEN_CELLS) {
        let whole: usize = cell.iter().map(|word| word.gap + word.columns).sum();
        let goes_below = at + whole > width && hanging + whole - cell[0].gap <= width;
        for (index, word) in cell.iter().enumerate() {
            let stays = at == 0 || at + word.gap + word.columns <= width && !(index == 0 && goes_below);
            let gap = if stays {
                word.gap
            } else {
                wrapped.push('\n');
                at = 0;
                hanging
            };
            wrapped.extend(std::iter::repeat_n(' ', gap));
            wrapped.push_str(word.text);
            at += gap + word.columns;
        }
    }
}

fn words(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut gap = 0;
    for text in line.split(' ') {
        if !text.is_empty() {
            words.push(Word { gap, text, columns: columns(text) });
            gap = 0;
        }
        gap += 1;
    }
    words
}

/// How wide a text is, without its colours.
fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(|part| part.chars().count()).sum()
}

#[cfg(test)]
mod tests {
    use super::super::style::{Style, Tone};
    use super::*;

    #[test]
    fn lines_are_broken_between_cells_and_words_and_never_inside_of_a_word() {
        let row = "  + prod/newsletter   create   restricted, 3 scopes → local:.env#X   new\n";
        let expected = "  + prod/newsletter   create\n      restricted, 3 scopes → local:.env#X\n      new\n";
        assert_eq!(wrapped(row, 42), expected);
        assert_eq!(wrapped(row, 80), row);
        assert_eq!(wrapped("error: one two three four", 14), "error: one two\n    three four");
        let long = "a https://example.com/a/very/long/path b\n";
        assert_eq!(wrapped(long, 12), "a\n    https://example.com/a/very/long/path\n    b\n");
    }

    #[test]
    fn colour_takes_no_room() {
        let painted = format!("{}\n", Style::Coloured.paint(Tone::Added, "+ one two"));
        assert_eq!(wrapped(&painted, 9), painted);
        let plain = anstream::adapter::strip_str(&wrapped(&painted, 5)).to_string();
        assert_eq!(plain, "+ one\n  two\n");
    }
}
