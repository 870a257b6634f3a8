//! One start of QEMU.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::EmulateError;
use super::log::{self, LogLine};
use crate::board::Board;
use crate::meter::argument;
use crate::record;

/// The emulator; `DUNLIN_QEMU` names another.
const PROGRAM: &str = "qemu-system-arm";
/// How often the driver looks whether QEMU has ended.
const POLL: Duration = Duration::from_millis(2);
/// How long QEMU may go on after it was told to stop: it may be about to end by itself.
const GRACE: Duration = Duration::from_secs(1);
const JOB_FILE: &str = "job.bin";
const COUNTS_FILE: &str = "counts";

/// What a start left behind.
pub(super) struct Output {
    pub(super) log: Vec<LogLine>,
    pub(super) results: Vec<u8>,
    /// What the plugin wrote, if there was one.
    pub(super) counts: String,
}

/// A serial line: QEMU connects to a TCP port of this machine.
pub(super) struct Serial<'a> {
    pub(super) port: u16,
    /// Ends QEMU when it is set.
    pub(super) stop: &'a AtomicBool,
}

/// Runs `image` with `job` in place until it exits, under `plugin` if there is one.
pub(super) fn execute(
    board: &Board,
    image: &Path,
    job: Option<&[u8]>,
    plugin: Option<&Path>,
    time_limit: Duration,
) -> Result<Output, EmulateError> {
    execute_with(board, image, job, plugin, None, time_limit)
}

/// The same with a serial line.
pub(super) fn execute_with(
    board: &Board,
    image: &Path,
    job: Option<&[u8]>,
    plugin: Option<&Path>,
    serial: Option<&Serial<'_>>,
    time_limit: Duration,
) -> Result<Output, EmulateError> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| EmulateError::File { path, source }
    };
    let elf = fs::read(image).map_err(file_error(image))?;
    let image = fs::canonicalize(image).map_err(file_error(image))?;
    let folder = tempfile::Builder::new()
        .prefix("dunlin-qemu-")
        .tempdir()
        .map_err(file_error(&std::env::temp_dir()))?;

    let program = std::env::var("DUNLIN_QEMU").unwrap_or_else(|_| PROGRAM.to_owned());
    let mut command = Command::new(&program);
    command.args(["-M", board.name, "-display", "none", "-monitor", "none", "-no-reboot"]);
    match serial {
        Some(Serial { port, .. }) => {
            let line = format!("socket,id=line,host=127.0.0.1,port={port},server=off,nodelay=on");
            command.args(["-chardev", &line, "-serial", "chardev:line"]);
        }
        None => {
            command.args(["-serial", "null"]);
        }
    }
    command
        .args(["-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-kernel"])
        .arg(&image);
    if let Some(job) = job {
        let path = folder.path().join(JOB_FILE);
        fs::write(&path, job).map_err(file_error(&path))?;
        command
            .args(["-device", &format!("loader,file={JOB_FILE},addr={:#x},force-raw=on", board.job_address)]);
    }
    let counts = folder.path().join(COUNTS_FILE);
    if let Some(plugin) = plugin {
        command.arg("-plugin").arg(argument(plugin, &counts));
    }
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|source| EmulateError::NoQemu { program: program.clone(), source })?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());

    let started = Instant::now();
    let mut told = None;
    let mut stopped = || {
        let stop = serial.is_some_and(|serial| serial.stop.load(Ordering::Relaxed));
        stop && told.get_or_insert_with(Instant::now).elapsed() > GRACE
    };
    let status: Option<ExitStatus> = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if started.elapsed() < time_limit && !stopped() => thread::sleep(POLL),
            _ => break None,
        }
    };
    if status.is_none() {
        // Either may fail only because QEMU has just ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
    let stream = stdout.join().unwrap_or_default();
    let complaints = String::from_utf8_lossy(&stderr.join().unwrap_or_default()).into_owned();
    let log = log::decode(&image, &elf, &stream)?;

    let board_name = || board.name.to_owned();
    match status {
        None => Err(EmulateError::TimeLimit {
            board: board_name(),
            seconds: time_limit.as_secs_f64(),
            last: log.last().map_or_else(|| "(none)".to_owned(), LogLine::to_string),
        }),
        Some(status) if !status.success() && plugin.is_some() && complaints.contains("plugin") => {
            let reason = format!("{program} says: {}", complaints.trim_end());
            Err(EmulateError::NoPlugin { reason, task: "cyclemeter" })
        }
        Some(status) if !status.success() => {
            let lines: Vec<String> = log.iter().rev().take(20).rev().map(LogLine::to_string).collect();
            let output = [lines.join("\n"), complaints.trim_end().to_owned()].join("\n");
            Err(EmulateError::Crashed { board: board_name(), status, output: output.trim().to_owned() })
        }
        Some(_) if job.is_none() => Ok(Output { log, results: Vec::new(), counts: String::new() }),
        Some(_) => {
            let path = folder.path().join(record::FILE_NAME.to_str().expect("an ASCII constant"));
            let results = fs::read(&path).map_err(file_error(&path))?;
            let counts = match plugin {
                Some(_) => fs::read_to_string(&counts).map_err(file_error(&counts))?,
                None => String::new(),
            };
            Ok(Output { log, results, counts })
        }
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is what there is to report.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}
