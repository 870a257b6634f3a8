//! Tables of documents.

/// A number with its thousands apart.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(",")
}

/// The document with `table` between the markers of this name.
///
/// # Panics
/// There are no such markers.
pub fn replace(document: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = document.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
    let stop = document[start..].find(&end).unwrap_or_else(|| panic!("no {end}")) + start;
    format!("{}\n{table}\n{}", &document[..start], &document[stop..])
}
