//! Tables without borders, in the style of `docker ps`.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A table with a header line and left-aligned columns as wide as their widest cell.
pub fn plain(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
        column.set_cell_alignment(CellAlignment::Left);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_with_their_headers() {
        let rows = [
            vec!["1".to_owned(), "two".to_owned()],
            vec!["longer".to_owned(), "2".to_owned()],
        ];
        assert_eq!(
            plain(&["A", "B"], rows.into_iter()),
            "A        B\n1        two\nlonger   2"
        );
    }
}
