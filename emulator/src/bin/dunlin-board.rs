//! `dunlin-board run BOARD IMAGE`: starts an image as cargo's runner does and prints its log.
//! `dunlin-board flash IMAGE…`: prints the flash that each image takes, and how much of it is constants and tables of models.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dunlin_emulator::{board, flash_bytes, model_bytes, run_bare};

const USAGE: &str = "usage: dunlin-board run BOARD IMAGE | dunlin-board flash IMAGE…";
const TIME_LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["run", name, image] => start(name, Path::new(image)),
        ["flash", images @ ..] if !images.is_empty() => flash(images),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(name: &str, image: &Path) -> Result<(), String> {
    let names = || board::BOARDS.map(|board| board.name).join(", ");
    let board =
        board::find(name).ok_or_else(|| format!("no board is called {name}; there are {}", names()))?;
    for line in run_bare(board, image, TIME_LIMIT).map_err(|error| error.to_string())? {
        println!("{line}");
    }
    Ok(())
}

fn flash(images: &[&str]) -> Result<(), String> {
    for image in images {
        let image = Path::new(image);
        let bytes = flash_bytes(image).and_then(|all| Ok((all, model_bytes(image)?)));
        let (all, [data, tables]) = bytes.map_err(|error| error.to_string())?;
        println!("{all} {data} {tables}");
    }
    Ok(())
}
