//! Writes the valid files from which a fuzzer starts: `cargo run -p dunlin-tests --bin corpus -- <folder>`.

use dunlin_tests::cases::seeded;
use dunlin_tests::golden;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: corpus <folder>");
        return ExitCode::from(2);
    };
    let mut files: Vec<(String, Vec<u8>)> =
        seeded().into_iter().map(|case| (case.name.replace('/', "-"), case.model)).collect();
    files.push(("golden".to_owned(), golden::model().as_slice().to_vec()));
    let appended = golden::operators::PARTS.iter();
    files.extend(appended.map(|part| (format!("golden-{}", part.name), part.model().as_slice().to_vec())));
    for (name, bytes) in &files {
        let path = folder.join(format!("{name}.dun"));
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, bytes));
        if let Err(error) = written {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{} files in {}", files.len(), folder.display());
    ExitCode::SUCCESS
}
